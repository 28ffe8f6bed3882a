"""Another learning rate as a component. It is an experiment and not a repair: nothing proves the number."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from gradcheck.base import numbers
from gradcheck.checks import gc402_update_to_data_ratio as gc402
from gradcheck.checks.finding import Finding
from gradcheck.health.updates.records import LearningRate, UpdateHealth
from gradcheck.isolation.records import Component, ComponentKind, Edit
from gradcheck.program.errors import ProgramError
from gradcheck.program.location import Location
from gradcheck.program.magics import strip_magics
from gradcheck.program.notebook import parse_notebook
from gradcheck.program.reading.tree import Tree
from gradcheck.program.script import decode_source, read_bytes

_CLOSE = 1e-9


def learning_rate_component(
    findings: Iterable[Finding], health: UpdateHealth, pass_index: int
) -> Component | None:
    """Where GC402 finds the steps far off, and the source says in one place what the learning rate is."""
    for finding in findings:
        goal = finding.evidence.get("recommended_learning_rate")
        if finding.rule != gc402.RULE.code or not isinstance(goal, float):
            continue
        if pass_index not in finding.evidence.get("passes", ()):
            continue
        rate = _rate(health, finding, pass_index)
        if rate is None or rate.location is None:
            continue
        place = _literal_at(rate.location, rate.value)
        if place is None:
            continue
        text = numbers.value(goal, 2)
        name = rate.text if rate.text.isidentifier() else "learning rate"
        what = f"an experiment, not a repair: {text} instead of {numbers.value(rate.value)}, as {finding.rule} suggests"
        return Component(
            name, ComponentKind.EDIT, what, place, (finding.rule,), edits=(Edit(place, text),), verified=False
        )
    return None


def _rate(health: UpdateHealth, finding: Finding, pass_index: int) -> LearningRate | None:
    """The one that all the weights of the step have, if they have the same."""
    rates = {
        weights.learning_rate
        for step in health.steps
        if step.pass_index == pass_index or step.iteration == finding.evidence.get("iteration")
        for weights in step.weights
    }
    rate = rates.pop() if len(rates) == 1 else None
    return rate if rate is not None and rate.value == finding.evidence.get("learning_rate") else None


def _literal_at(place: Location, value: float) -> Location | None:
    """The number in the source at `place`, if it is written there once."""
    try:
        text = _text(place)
    except (ProgramError, OSError, IndexError):
        return None
    found = [
        node
        for node in _constants(text)
        if _contains(place, node) and abs(float(node.value) - value) <= _CLOSE * abs(value)  # type: ignore[arg-type]
    ]
    if len(found) != 1:
        return None
    node = found[0]
    line = text.split("\n")[node.lineno - 1].encode()
    start, end = (len(line[:at].decode()) + 1 for at in (node.col_offset, node.end_col_offset or 0))
    return Location(place.file, place.cell, node.lineno, node.lineno, start, end)


def _text(place: Location) -> str:
    path = Path(place.file)
    raw = read_bytes(path)
    if place.cell is None:
        return decode_source(raw, path)
    return strip_magics(parse_notebook(raw, path).cells[place.cell - 1], place.cell)[0]


def _constants(text: str) -> Iterator[ast.Constant]:
    for node in Tree(text).nodes:
        number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        if number and node.end_lineno == node.lineno:  # type: ignore[attr-defined]
            yield node  # type: ignore[misc]


def _contains(place: Location, node: ast.Constant) -> bool:
    return place.line <= node.lineno <= place.end_line
