"""The faults of a report as components to repair: replaced gradients, and edits of the source."""

from __future__ import annotations

from collections.abc import Iterable

from gradcheck.checks.finding import Finding
from gradcheck.isolation.records import Component, ComponentKind, Edit, GradientKey
from gradcheck.program.location import Location
from gradcheck.replay.verdict import GradientResult, PassResult, Verdict

_AT_FAULT = (Verdict.INTRODUCED, Verdict.COMPENSATED)


def components_of(step: PassResult, findings: Iterable[Finding]) -> list[Component]:
    """One for every fault of one recorded step, in the order of the lines. A gradient is repaired by the true one; a
    fault of another line (of the forward pass, of an update) by the fix that replay has verified."""
    found = [f for f in findings if f.fix is not None and f.fix.verified]
    keyed = keyed_rows(step.gradients)
    faulty = {key: row for key, row in keyed.items() if row.verdict in _AT_FAULT}
    elsewhere = [f for f in found if not any(_is_line_of(f, row) for row in keyed.values())]
    explained = {
        name for f in elsewhere if f.evidence.get("forward") for name in f.evidence.get("gradients", ())
    }
    components = [
        _gradient(key, row, findings_at(findings, row.location))
        for key, row in faulty.items()
        if row.name not in explained
    ]
    seen: set[tuple[Location, str]] = set()
    for finding in elsewhere:
        assert finding.fix is not None
        edit = finding.fix.location, finding.fix.replacement
        if edit not in seen:
            seen.add(edit)
            components.append(_edit(finding))
    return _named_apart(sorted(components, key=_reading_order))


def keyed_rows(rows: Iterable[GradientResult]) -> dict[GradientKey, GradientResult]:
    """Each row under what names it in an edited program as well."""
    seen: dict[str, int] = {}
    keyed = {}
    for row in rows:
        number = seen[row.name] = seen.get(row.name, -1) + 1
        keyed[GradientKey(row.name, number)] = row
    return keyed


def findings_at(findings: Iterable[Finding], location: Location) -> list[Finding]:
    return [finding for finding in findings if finding.location == location]


def _gradient(key: GradientKey, row: GradientResult, findings: Iterable[Finding]) -> Component:
    rules = tuple(dict.fromkeys(finding.rule for finding in findings))
    what = f"the true gradient in place of `{row.name}`"
    return Component(row.name, ComponentKind.GRADIENT, what, row.location, rules, gradients=(key,))


def _edit(finding: Finding) -> Component:
    fix = finding.fix
    assert fix is not None
    shown = " ".join(fix.replacement.split())
    what = (
        f"`{shown}` in line {fix.location.line}"
        if shown
        else f"a part of line {fix.location.line} taken away"
    )
    key = f"line {fix.location.line}"
    if fix.location.cell is not None:
        key = f"cell {fix.location.cell} {key}"
    return Component(
        key,
        ComponentKind.EDIT,
        what,
        fix.location,
        (finding.rule,),
        edits=(Edit(fix.location, fix.replacement),),
    )


def _is_line_of(finding: Finding, row: GradientResult) -> bool:
    """Whether the fix edits a line that computes this gradient: then the true gradient stands for it."""
    assert finding.fix is not None
    place = finding.fix.location
    return any(
        (line.file, line.cell) == (place.file, place.cell) and line.line <= place.line <= line.end_line
        for line in (row.location, *row.lines)
    )


def _named_apart(components: list[Component]) -> list[Component]:
    """Several faults may lie on one line, or under one name."""
    counts: dict[str, int] = {}
    apart = []
    for component in components:
        number = counts[component.key] = counts.get(component.key, 0) + 1
        key = component.key if number == 1 else f"{component.key} ({number})"
        apart.append(
            Component(
                key,
                component.kind,
                component.what,
                component.location,
                component.rules,
                component.gradients,
                component.edits,
                component.verified,
            )
        )
    return apart


def _reading_order(component: Component) -> tuple[str, int, int, int]:
    place = component.location
    return place.file, place.cell or 0, place.line, place.column
