"""The page in a real browser: no console message, every figure drawn, sorting and the colour toggle work."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from castalia.reports.comparison import compare
from castalia.reports.document import FigureItem, Report, Section, Verdict, render
from castalia.reports.tables import Cell, TableItem, measured

pytestmark = pytest.mark.browser

# Runs in the page after its own script; reports what it found in the title, which --dump-dom prints.
PROBE = """
window.addEventListener("load", () => {
  const rows = () => [...document.querySelectorAll("table.sortable tbody tr")];
  const column = (n) => rows().map((row) => row.cells[n].textContent);
  const head = document.querySelectorAll("table.sortable thead button")[1];
  head.click(); const up = column(1);
  head.click(); const down = column(1);
  const paper = () => getComputedStyle(document.body).backgroundColor;
  const before = paper(); document.getElementById("theme").click();
  document.title = JSON.stringify({
    drawn: [...document.images].map((image) => image.naturalWidth), up, down,
    toggled: before !== paper(), overflow: document.documentElement.scrollWidth - window.innerWidth});
});
"""


@dataclass(frozen=True)
class Visit:
    """What the browser printed and what the probe reported."""

    console: list[str]
    probe: dict[str, object]


@pytest.fixture
def visit(tmp_path: Path) -> Callable[[str], Visit]:
    """Open a page in headless Chromium, once as it is for its console and once with the probe."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        if os.environ.get("CASTALIA_REQUIRE_BROWSER") == "1":
            pytest.fail("no Chromium on this machine, and CASTALIA_REQUIRE_BROWSER=1 asks for one")
        pytest.skip("no Chromium on this machine; install it to test the page in a browser")

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        command = [found, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--enable-logging=stderr"]
        command += [f"--user-data-dir={path.with_suffix('.profile')}", "--no-first-run", "--disable-sync"]
        command += ["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=2000"]
        return subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)

    def open_page(page: str) -> Visit:
        plain, probed = tmp_path / "page.html", tmp_path / "probed.html"
        plain.write_text(page, encoding="utf-8")
        open_policy = re.sub(r"script-src &#39;[^&]*&#39;", "script-src 'unsafe-inline'", page)
        probed.write_text(open_policy.replace("</body>", f"<script>{PROBE}</script></body>"), encoding="utf-8")
        console = [line for line in run(plain).stderr.splitlines() if "CONSOLE" in line]
        title = re.search(r"<title>(.*?)</title>", run(probed).stdout, re.DOTALL)
        assert title is not None
        return Visit(console, json.loads(html.unescape(title[1])) if title[1].startswith("{") else {})

    return open_page


def _report(png: Path) -> Report:
    numbers = (measured(10.0, 0.1), measured(None), measured(9.0, 0.1), measured(5e6, 1e5))
    rows = tuple((Cell(f"row {i}"), number) for i, number in enumerate(numbers))
    section = Section("s", ("text",), (FigureItem(png, "c", "a"),), (TableItem("t", ("name", "x"), rows),))
    return Report("Title", "Sub", Verdict(True), (section,), {"seed": 1})


def test_the_page_works(tmp_path: Path, draw: Callable[..., Path], visit: Callable[[str], Visit]) -> None:
    seen = visit(render(_report(draw(tmp_path / "a.png", 640, 300))))
    assert seen.console == []
    assert seen.probe["drawn"] == [640]
    assert seen.probe["up"] == ["9.00 ± 0.10", "10.00 ± 0.10", "(5.00 ± 0.10) × 10⁶", "–"]
    assert seen.probe["down"] == ["(5.00 ± 0.10) × 10⁶", "10.00 ± 0.10", "9.00 ± 0.10", "–"]
    assert seen.probe["toggled"] is True
    assert seen.probe["overflow"] <= 0


def test_a_comparison_works(report_folder: Callable[..., Path], visit: Callable[[str], Visit]) -> None:
    metrics = {"kl": {"value": 0.1}, "gate": {"passed": True}}
    seen = visit(render(compare([report_folder(name, metrics) for name in ("a", "b")])))
    assert seen.console == []
    assert seen.probe["drawn"] == [40, 40]


def test_a_broken_page_is_noticed(tmp_path: Path, draw: Callable[..., Path], visit: Callable[[str], Visit]) -> None:
    page = render(_report(draw(tmp_path / "a.png")))
    seen = visit(page.replace("image/png;base64,", "image/png;base64,AAAA").replace("data-sort", "data-other"))
    assert seen.probe["drawn"] == [0]
    assert seen.probe["up"] != ["9.00 ± 0.10", "10.00 ± 0.10", "(5.00 ± 0.10) × 10⁶", "–"]
    foreign = visit(page.replace("</body>", "<script>document.title = 'hostile';</script></body>"))
    assert foreign.console  # the content security policy refused the planted script, and said so
