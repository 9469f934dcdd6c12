"""Configuration that is frozen, complete and refuses unknown keys, and its errors as one sentence each."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from castalia.errors import ConfigError

__all__ = ["StrictModel", "config_error"]


class StrictModel(BaseModel):
    """Base of every configuration model: frozen, and an unknown key is an error that lists the known ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        known = sorted({field.alias or name for name, field in cls.model_fields.items()} | set(cls.model_fields))
        for key in values:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean '{close[0]}'? " if close else ""
                raise ValueError(f"unknown key '{key}'; {hint}the known keys are {', '.join(known)}")
        return values


def config_error(exc: ValidationError, path: Path | str) -> ConfigError:
    """Turn pydantic's complaint about the configuration ``path`` into one sentence.

    Args:
        exc: What pydantic raised.
        path: The file, or another name of where the values came from.

    Returns:
        The error to raise (``raise config_error(exc, path) from exc``); it names the first key that is wrong.
    """
    problems = exc.errors(include_url=False)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"] if not _is_union_member(part))
    place = f"[{where}] " if first["type"] == "value_error" and where else f"key '{where}': " if where else ""
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] != "value_error" and first["type"] != "missing":
        message = f"{message[0].lower()}{message[1:]}, but it is {first['input']!r}"
    elif first["type"] == "missing":
        message = "is required, but absent"
    # The members of a union complain one by one about the same key: that is one problem, not several.
    others = {tuple(p["loc"])[: len(first["loc"]) - 1] if _is_union(p["loc"]) else tuple(p["loc"]) for p in problems}
    more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
    return ConfigError(f"{path}: {place}{message}{more}.")


def _is_union_member(part: str | int) -> bool:
    return isinstance(part, str) and (part in {"int", "float", "str", "bool", "constrained-int"} or "[" in part)


def _is_union(loc: tuple[str | int, ...]) -> bool:
    return bool(loc) and _is_union_member(loc[-1])
