"""Fixes made by hand."""

from __future__ import annotations

import json
from pathlib import Path

from gradcheck.checks.finding import Finding, Fix, Severity
from gradcheck.patch.plan import PlannedFix
from gradcheck.program.location import Location
from gradcheck.program.notebook import read_notebook
from gradcheck.program.script import read_source
from gradcheck.report.contents import Excerpt
from gradcheck.report.model import Report


def place_of(file: str, old: str, cell: int | None = None) -> Location:
    """Where `old` stands in the file or cell; it must be there once."""
    text = _source(file, cell)
    assert text.count(old) == 1
    start = text.index(old)
    (line, column), (end_line, end_column) = _position(text, start), _position(text, start + len(old))
    return Location(file, cell, line, end_line, column, end_column)


def fix(file: str, old: str, new: str, cell: int | None = None, verified: bool = True) -> Fix:
    """`new` in the place of `old`, with the diff of the whole lines."""
    place = place_of(file, old, cell)
    lines = _source(file, cell).split("\n")[place.line - 1 : place.end_line]
    before, after = lines[0][: place.column - 1], lines[-1][place.end_column - 1 :]
    changed = (before + new + after).split("\n")
    diff = "\n".join([f"- {line}" for line in lines] + [f"+ {line}" for line in changed])
    return Fix(verified, diff, new, place)


def finding(fix: Fix | None, location: Location | None = None, **details: object) -> Finding:
    place = location or (fix.location if fix else Location("a.py", None, 1, 1, 1, 2))
    found = Finding("GC101", "wrong-gradient", Severity.ERROR, place, "`d_A` is not the gradient of `A`")
    found.fix = fix
    for key, value in details.items():
        setattr(found, key, value)
    return found


def report(*findings: Finding, target: str = "a.py") -> Report:
    """With the lines under every fix, as a real report keeps them."""
    excerpts = []
    for found in findings:
        if found.fix is not None:
            place = found.fix.location
            lines = tuple(_source(place.file, place.cell).split("\n")[place.line - 1 : place.end_line])
            excerpts.append(Excerpt(place.file, place.cell, place.line, lines))
    return Report(target, findings=list(findings), excerpts=excerpts)


def planned(fix: Fix) -> PlannedFix:
    place = fix.location
    lines = _source(place.file, place.cell).split("\n")[place.line - 1 : place.end_line]
    return PlannedFix(fix, (finding(fix),), tuple(lines))


def notebook_text(*cells: str) -> str:
    notebook = {
        "cells": [
            {"cell_type": "code", "execution_count": 1, "source": cell.splitlines(keepends=True)}
            for cell in cells
        ],
        "nbformat": 4,
    }
    return json.dumps(notebook, indent=1) + "\n"


def _source(file: str, cell: int | None) -> str:
    return read_source(Path(file)) if cell is None else read_notebook(Path(file)).cells[cell - 1]


def _position(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
