"""One self-contained HTML page from results: figures inline, sortable tables, light and dark, no network."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from castalia.data.atomic import atomic_path
from castalia.errors import DataError
from castalia.reports.tables import Cell, TableItem, cell, flatten

__all__ = ["FigureItem", "Headline", "Report", "Section", "Verdict", "render", "write_report"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_WIDE_SHAPE = 1.45  # width over height from which a figure takes the whole width of the page
_WIDE_PIXELS = 1400  # and the width from which it does so whatever its height: half a page would be too small to read


@dataclass(frozen=True)
class FigureItem:
    """A figure.

    Attributes:
        png: The PNG file; it is read when the page is rendered.
        caption: What the reader should see in it.
        alt: What it shows, in words, for those who do not see it.
    """

    png: Path
    caption: str
    alt: str


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes:
        heading: Its title, listed in the table of contents.
        text: Paragraphs of plain text.
        figures: Figures, drawn before the tables.
        tables: Sortable tables.
        thumbnails: True to draw the figures small and side by side, each enlarged by a click.
    """

    heading: str
    text: tuple[str, ...] = ()
    figures: tuple[FigureItem, ...] = ()
    tables: tuple[TableItem, ...] = ()
    thumbnails: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the quality gate said, or another check that the whole report depends on.

    Attributes:
        passed: Whether the gate was passed.
        reasons: One sentence a reason.
        words: What is said where it was passed, and where it was not.
    """

    passed: bool
    reasons: tuple[str, ...] = ()
    words: tuple[str, str] = ("The quality gate is passed.", "The quality gate is not passed.")


@dataclass(frozen=True)
class Headline:
    """One number at the top of the page.

    Attributes:
        label: What it is.
        value: The number, see :func:`castalia.reports.tables.measured`.
        floor: The same number between two truth samples, where there is one.
        goal: What was wanted, such as ``"≤ 0.005 nat"``; empty for none.
        met: Whether the goal is met; ``None`` where there is none.
    """

    label: str
    value: Cell
    floor: Cell | None = None
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Report:
    """The page.

    Attributes:
        title: Heading of the page.
        subtitle: One line under it.
        verdict: The gate's verdict, or ``None`` where nothing was judged.
        sections: The body.
        provenance: JSON-like mapping of where the numbers come from: version, command, seed, files, hashes.
        headlines: Cards above the sections.
    """

    title: str
    subtitle: str
    verdict: Verdict | None
    sections: tuple[Section, ...]
    provenance: Mapping[str, object] = field(default_factory=dict)
    headlines: tuple[Headline, ...] = ()


@dataclass(frozen=True)
class _Picture:
    uri: str
    width: int
    height: int

    @property
    def wide(self) -> bool:
        return self.width > _WIDE_SHAPE * self.height or self.width > _WIDE_PIXELS


def render(report: Report) -> str:
    """Return the page as HTML; equal reports give equal text.

    Every string is escaped, and a content security policy allows no script but the page's own and no address but
    inline data, so that hostile column or file names can neither run nor load anything.

    Raises:
        DataError: If a figure's file is missing or is no PNG.
    """
    style, script = _template_text("style.css"), _template_text("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{_csp_hash(style)}'; "
        f"script-src 'sha256-{_csp_hash(script)}'"
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_templates()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    page = environment.get_template("report.html")
    return page.render(
        report=report,
        provenance={name: cell(value) for name, value in flatten(report.provenance).items()},
        picture=_picture,
        policy=policy,
        style=Markup(style),
        script=Markup(script),
    )


def write_report(report: Report, path: Path) -> None:
    """Render the page and write it to ``path`` whole or not at all.

    Raises:
        DataError: If a figure's file is missing or is no PNG.
    """
    text = render(report)
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _templates() -> Path:
    return Path(__file__).parent / "templates"


@cache
def _template_text(name: str) -> str:
    return (_templates() / name).read_text(encoding="utf-8")


def _breakable(text: str) -> Markup:
    """Let a dotted or underscored name break where a reader would, on a narrow screen."""
    return Markup("<wbr>").join(re.split(r"(?<=[._/])", text))


def _csp_hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _picture(item: FigureItem) -> _Picture:
    """Read a PNG; its size is written into the page so that nothing jumps while it loads."""
    try:
        content = item.png.read_bytes()
    except OSError as error:
        raise DataError(
            f"{item.png}: the figure cannot be read ({error.strerror}); run the evaluation again."
        ) from error
    if len(content) < 24 or not content.startswith(_PNG_SIGNATURE):
        raise DataError(f"{item.png}: not a PNG image; run the evaluation again to draw the figure anew.")
    width, height = struct.unpack(">II", content[16:24])
    return _Picture("data:image/png;base64," + base64.b64encode(content).decode(), width, height)
