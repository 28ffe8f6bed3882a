"""From judged gradients to the rows of the report."""

from __future__ import annotations

import math

import numpy as np
import torch

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.verdict import GradientResult, Problem, Verdict, WorstElement
from gradcheck.program.location import Location
from gradcheck.replay.compare import (
    cosine,
    distance,
    exact,
    norm,
    relative,
)

_WORST_FIRST = (
    Verdict.INTRODUCED,
    Verdict.COMPENSATED,
    Verdict.UNCHECKED,
    Verdict.INHERITED,
    Verdict.UNOBSERVABLE,
    Verdict.CORRECT,
)


def rows_of(
    judge: Judge, names: NameIndex, places: Places, pass_index: int
) -> list[tuple[GradientResult, list[Judged]]]:
    """One row per gradient and line, in program order, with the judged gradients it stands for: time steps and
    layers of a loop share a row."""
    rows: list[GradientResult] = []
    judged_of: dict[int, Judged] = {}
    names_outside: dict[int, tuple[str, str | None]] = {}
    for judged in judge.judged:
        row = _row(judged, judge, names, places)
        row.pass_index = pass_index
        rows.append(row)
        judged_of[id(row)] = judged
        outer = judged.candidate.outer_name
        names_outside[id(row)] = outer, names.shown_for(judged.of, outer) if judged.of is not None else None
    return [(row, [judged_of[id(r)] for r in group]) for row, group in _together(rows, names_outside)]


def _row(judged: Judged, judge: Judge, names: NameIndex, places: Places) -> GradientResult:
    candidate = judged.candidate
    writes = judged.version.writes
    lines = [places.location(op) for op in _distinct(writes)]
    if not lines or candidate.second_name:
        assert candidate.binding is not None
        binding = candidate.binding
        lines = [places.line_location(binding.code, binding.line)] if binding.code else []
    if judged.at_return and candidate.returned is not None:
        lines = [places.location(candidate.returned)]
    row = GradientResult(
        name=candidate.name,
        of=names.shown_for(judged.of, candidate.name) if judged.of is not None else None,
        location=lines[-1],
        verdict=judged.verdict,
        problem=judged.problem,
        reason=judged.reason,
        evidence=judged.evidence,
        lines=lines,
        notes=list(judged.notes),
    )
    if judged.of is not None and judged.of.producer is not None:
        row.of_location = places.location(judged.of.producer)
    if judged.meant is not None and row.problem is Problem.NONE:
        row.problem = Problem.MISNAMED
        row.reason = f"it is the gradient of `{row.of}`, although its name says `{names.shown(judged.meant)}`"
    if judged.scale is not None:
        row.scale_note = f"kept as {judged.scale:g} x dL/d{row.of}"
    _measure(row, judged)
    row.hidden_error = judged.hidden_error
    blamed = [fault.judged for fault in judge.listed(judged.faults)]
    fault_names = [fault.candidate.name for fault in blamed if fault.verdict is not Verdict.INHERITED]
    if judged.verdict in (Verdict.INHERITED, Verdict.UNCHECKED):
        row.inherits_from = list(dict.fromkeys(fault_names))
    row.upstream = _upstream(judged, judge)
    return row


def _measure(row: GradientResult, judged: Judged) -> None:
    found = judged.found
    if found is None:
        return
    row.shape = tuple(found.shape)
    row.elements = found.numel()
    row.dtype = str(found.dtype)
    row.found_norm = norm(found)
    if judged.truth is not None:
        row.of_shape = tuple(judged.truth.shape)
        row.total_error = _error(found, judged.truth, judged.noise)
        if judged.truth.numel() == found.numel():
            row.cosine = cosine(found, judged.truth)
    expected = judged.expected
    if expected is not None:
        row.expected_norm = norm(expected)
        row.local_error = _error(found, expected, judged.noise)
        if expected.numel() == found.numel() and bool(torch.isfinite(found).all()):
            row.worst = _worst_element(found, expected)
            row.mismatched = _mismatched_elements(found, expected)
        scale = max(row.expected_norm, row.found_norm)
        if scale > 0 and math.isfinite(judged.noise):
            row.noise = judged.noise / scale


def _error(found: torch.Tensor, expected: torch.Tensor, noise: float) -> float | None:
    """Relative to the larger norm, but never to less than float32 rounding: against a truth that is zero by
    invariance a purely relative error means nothing."""
    if found.numel() != expected.numel():
        return None
    return relative(distance(found, expected), max(norm(found), noise), norm(expected))


def _worst_element(found: torch.Tensor, expected: torch.Tensor) -> WorstElement | None:
    if found.numel() == 0 or found.numel() != expected.numel():
        return None
    expected = expected.detach().reshape(found.shape)
    position = int(torch.argmax((found.detach() - expected).abs().reshape(-1)))
    index = tuple(int(i) for i in np.unravel_index(position, tuple(found.shape)))
    pair = torch.stack([exact(expected).reshape(-1)[position], exact(found).reshape(-1)[position]])
    if pair.is_complex():  # the part that differs more
        parts = torch.view_as_real(pair)
        pair = parts[:, int((parts[1] - parts[0]).abs().argmax())]
    return WorstElement(index, float(pair[0]), float(pair[1]))


def _mismatched_elements(found: torch.Tensor, expected: torch.Tensor, share: float = 1e-6) -> int:
    """How many elements differ by more than `share` of the largest expected magnitude."""
    expected = expected.detach().reshape(found.shape)
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    return int(((found.detach() - expected).abs() > share * scale).sum())


def _distinct(ops: list[Op]) -> list[Op]:
    seen: dict[tuple[int, int], Op] = {}
    for op in ops:
        seen.pop((id(op.code), op.lasti), None)
        seen[id(op.code), op.lasti] = op
    return list(seen.values())


def _upstream(judged: Judged, judge: Judge) -> list[str]:
    """The manual gradients its line read directly."""
    named = {c.value: c.name for c in judge.plan.candidates if any(j.candidate is c for j in judge.judged)}
    own, start = judged.candidate.value, judge.plan.start

    def stop(value: Value) -> bool:
        made = value.producer is not None and value.producer.index > start
        return value in named or not made

    inputs = [value for op in judged.version.writes for value in op.inputs if value is not own]
    read = flow.ancestors(*inputs, stop=stop)
    return list(dict.fromkeys(named[value] for value in read if value in named and value is not own))


def _together(
    rows: list[GradientResult], names_outside: dict[int, tuple[str, str | None]]
) -> list[tuple[GradientResult, list[GradientResult]]]:
    """Rows of one name computed at one line, by one verdict: the worst stands for all."""
    groups: dict[tuple[str, Location, Verdict], list[GradientResult]] = {}
    by_place: dict[tuple[str, Location], list[GradientResult]] = {}
    for row in rows:
        by_place.setdefault((row.name, row.location), []).append(row)
    for same_place in by_place.values():
        # One line that ran for several layers: the caller's names tell the runs apart, if it gave any.
        outer = [names_outside[id(row)][0] for row in same_place]
        given = [name for name in outer if name]
        if len(same_place) > 1 and len(set(given)) == len(given):
            for row, name in zip(same_place, outer, strict=True):
                if name:
                    row.name, row.of = name, names_outside[id(row)][1]
    for row in rows:
        groups.setdefault((row.name, row.location, row.verdict), []).append(row)
    merged: list[tuple[GradientResult, list[GradientResult]]] = []
    for group in groups.values():
        worst = max(group, key=lambda row: (row.local_error or 0.0, row.total_error or 0.0))
        worst.occurrences = len(group)
        merged.append((worst, group))
    order = {id(row): i for i, row in enumerate(rows)}
    return sorted(merged, key=lambda pair: order[id(pair[0])])
