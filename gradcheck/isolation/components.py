"""The faults of a report as components to repair: replaced gradients, and edits of the source."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from gradcheck.base import numbers
from gradcheck.checks import gc402_update_to_data_ratio as gc402
from gradcheck.checks.finding import Finding, Fix, Severity
from gradcheck.checks.registry import all_rules
from gradcheck.health.updates.records import LearningRate, UpdateHealth
from gradcheck.isolation.records import Component, ComponentKind, Edit, GradientKey
from gradcheck.judge.verdict import GradientResult, PassResult, Verdict
from gradcheck.program.location import Location

_OUTSIDE_GRADIENTS = {rule.code for rule in all_rules() if rule.outside_gradients}
_AT_FAULT = (Verdict.INTRODUCED, Verdict.COMPENSATED)


def components_of(
    step: PassResult, findings: Collection[Finding], updates: UpdateHealth | None = None
) -> list[Component]:
    """One for every fault of one recorded step, in the order of the lines. A gradient is repaired by the true one; a
    fault of another line (of the forward pass, of an update) by the fix that replay has verified. A learning rate
    that is far off is tried at the value that is recommended."""
    findings = [f for f in findings if step.index in f.evidence.get("passes", (step.index,))]
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
    rate = learning_rate_component(findings, updates, step.index) if updates is not None else None
    if rate is not None and rate.edits not in [component.edits for component in components]:
        components.append(rate)
    return _named_apart(sorted(components, key=_reading_order))


def keyed_rows(rows: Iterable[GradientResult]) -> dict[GradientKey, GradientResult]:
    """Each row under what names it in an edited program as well."""
    seen: dict[str, int] = {}
    keyed = {}
    for row in rows:
        number = seen[row.name] = seen.get(row.name, -1) + 1
        keyed[GradientKey(row.name, number)] = row
    return keyed


def left_out(step: PassResult, findings: Iterable[Finding], components: Iterable[Component]) -> list[str]:
    """The faults of the forward pass and of the updates that are no component, and so are in every variant."""
    repaired = {(c.location.file, c.location.cell, c.location.line) for c in components}
    reasons = []
    for finding in findings:
        place = finding.location
        applies = step.index in finding.evidence.get("passes", (step.index,))
        if not applies or finding.rule not in _OUTSIDE_GRADIENTS or finding.severity is not Severity.ERROR:
            continue
        if (place.file, place.cell, place.line) not in repaired:
            reasons.append(f"{finding.rule} in line {place.line}: no fix of it is verified")
    return list(dict.fromkeys(reasons))


def grouped_by_layer(components: Sequence[Component], depths: Mapping[GradientKey, int]) -> list[Component]:
    """The gradients of one layer as one component; edits as they are."""
    groups: dict[int, list[Component]] = {}
    for component in components:
        if component.kind is ComponentKind.GRADIENT:
            depth = max((depths.get(key, 0) for key in component.gradients), default=0)
            groups.setdefault(depth, []).append(component)
    grouped = [_layer(depth, members) for depth, members in groups.items()]
    others = [component for component in components if component.kind is not ComponentKind.GRADIENT]
    return _named_apart(sorted([*grouped, *others], key=_reading_order))


def _layer(depth: int, members: Sequence[Component]) -> Component:
    names = ", ".join(f"`{member.key}`" for member in members)
    what = f"the true gradient in place of {names}"
    if len(members) > 1:
        what = f"the true gradients in place of {names}"
    return Component(
        f"layer {depth}" if depth else "before layer 1",
        ComponentKind.GRADIENT,
        what,
        members[0].location,
        tuple(dict.fromkeys(rule for member in members for rule in member.rules)),
        tuple(key for member in members for key in member.gradients),
    )


def findings_at(findings: Iterable[Finding], location: Location) -> list[Finding]:
    return [finding for finding in findings if finding.location == location]


def _gradient(key: GradientKey, row: GradientResult, findings: Iterable[Finding]) -> Component:
    rules = tuple(dict.fromkeys(finding.rule for finding in findings))
    what = f"the true gradient in place of `{row.name}`"
    return Component(row.name, ComponentKind.GRADIENT, what, row.location, rules, gradients=(key,))


def _edit(finding: Finding) -> Component:
    fix = finding.fix
    assert fix is not None
    shown, before = " ".join(fix.replacement.split()), _replaced(fix)
    if shown:
        what = f"`{shown}` in place of `{before}`" if before else f"`{shown}` in line {fix.location.line}"
    else:
        what = f"`{before}` removed" if before else f"a part of line {fix.location.line} removed"
    key = f"line {fix.location.line}"
    if fix.location.cell is not None:
        key = f"cell {fix.location.cell} {key}"
    return _of_edit(finding, key, what, Edit(fix.location, fix.replacement))


def _of_edit(finding: Finding, key: str, what: str, edit: Edit, *, verified: bool = True) -> Component:
    kind, rules = ComponentKind.EDIT, (finding.rule,)
    return Component(key, kind, what, edit.location, rules, edits=(edit,), verified=verified)


def _replaced(fix: Fix) -> str:
    """The text that was replaced, if it is a part of one line."""
    lines = [line[2:] for line in fix.diff.split("\n") if line.startswith("- ")]
    place = fix.location
    return lines[0][place.column - 1 : place.end_column - 1].strip() if len(lines) == 1 else ""


def _is_line_of(finding: Finding, row: GradientResult) -> bool:
    """Whether the fix edits a line that computes this gradient: then the true gradient covers it."""
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
        apart.append(replace(component, key=key))
    return apart


def _reading_order(component: Component) -> tuple[str, int, int, int]:
    place = component.location
    return place.file, place.cell or 0, place.line, place.column


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
        if rate is None or rate.literal is None:
            continue
        text = numbers.value(goal, 2)
        name = rate.text if rate.text.isidentifier() else "learning rate"
        what = f"an experiment, not a repair: {text} instead of {numbers.value(rate.value)}, as {finding.rule} suggests"
        return _of_edit(finding, name, what, Edit(rate.literal, text), verified=False)
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
