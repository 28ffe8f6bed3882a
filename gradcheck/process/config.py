"""`[tool.gradcheck]` in the nearest pyproject.toml."""

import difflib
import math
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradcheck.base.thresholds import ThresholdError, checked, find_threshold
from gradcheck.program.errors import ProgramError
from gradcheck.program.source import shown_path

EXAMPLE = '[tool.gradcheck]\ntargets = ["train.ipynb", "models/mlp.py::step"]'
_SECONDS = ("timeout", "fix-budget", "total-budget")
THRESHOLDS_EXAMPLE = '[tool.gradcheck.thresholds]\n"GC202.tanh-limit" = 0.95'


@dataclass(frozen=True, slots=True)
class Config:
    """The contents of the table; `folder` is where its relative paths begin."""

    folder: Path | None = None
    targets: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    timeout: float | None = None
    fix_budget: float | None = None
    total_budget: float | None = None
    thresholds: dict[str, float] = field(default_factory=dict)


def read_config(start: Path) -> Config:
    """The table of the nearest pyproject.toml from `start` upwards that has one, or an empty Config."""
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if os.path.isfile(path):  # not where the folder may not be looked into
            table = _table(path)
            if table is not None:
                return _validated(table, path)
    return Config()


def _table(path: Path) -> dict[str, Any] | None:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProgramError(f"`{shown_path(path)}` cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProgramError(f"`{shown_path(path)}` is not TOML: {error}") from None
    tool = data.get("tool", {})
    table = tool.get("gradcheck") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ProgramError(f"`{shown_path(path)}`: `tool.gradcheck` must be a table", EXAMPLE)
    return table


def _validated(table: dict[str, Any], path: Path) -> Config:
    place = f"`{shown_path(path)}`: [tool.gradcheck]"
    lists = ("targets", "select", "ignore")
    for key, value in table.items():
        if key in lists:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ProgramError(f"{place}: `{key}` must be a list of strings, not {value!r}", EXAMPLE)
        elif key in _SECONDS:
            number = not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
            if not number or value < 0 or (key == "timeout" and value == 0):
                above = "above 0" if key == "timeout" else "of 0 or more"
                raise ProgramError(f"{place}: `{key}` must be a number of seconds {above}, not {value!r}")
        elif key != "thresholds":
            known = (*lists, *_SECONDS, "thresholds")
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"the keys are {', '.join(known)}"
            raise ProgramError(f"{place}: there is no key `{key}`", hint)
    strings = {key: tuple(table.get(key, ())) for key in lists}
    return Config(
        folder=path.parent,
        timeout=table.get("timeout"),
        fix_budget=table.get("fix-budget"),
        total_budget=table.get("total-budget"),
        thresholds=_thresholds(table.get("thresholds", {}), path),
        **strings,
    )


def _thresholds(table: Any, path: Path) -> dict[str, float]:
    """`"GC202.tanh-limit" = 0.95`, or `tanh-limit = 0.95` in a table of the rule."""
    place = f"`{shown_path(path)}`: [tool.gradcheck.thresholds]"
    if not isinstance(table, dict):
        raise ProgramError(f"{place} must be a table, not {table!r}", THRESHOLDS_EXAMPLE)
    found: dict[str, float] = {}
    for key, value in _flat(table):
        try:
            known = find_threshold(key).key
            if known in found:
                raise ThresholdError(f"`{known}` is set twice")
            found[known] = checked(known, value)
        except ThresholdError as error:
            raise ProgramError(f"{place}: {error.message}", error.hint) from None
    return found


def _flat(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", number) for name, number in value.items())
        else:
            yield key, value
