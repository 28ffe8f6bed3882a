"""From judged gradients to the rows of the report."""

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from gradcheck.fronts.tape import Kind, Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.lines import line_of, lines_of
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.verdict import GradientResult, Problem, Verdict, WorstElement
from gradcheck.program.location import Location
from gradcheck.replay.compare import compared, exact, inner, is_finite, norm, norms, relative

# Distance and both norms, by the identities of what was found and of what it is compared with.
Pairs = dict[tuple[int, int], tuple[float, float, float]]
_WRONG_SHARE = 1e-6  # of the largest expected magnitude: an element that differs by more is counted


def rows_of(judge: Judge, pass_index: int) -> list[tuple[GradientResult, list[Judged]]]:
    """One row per gradient and line, in program order, with the judged gradients it covers: time steps and layers of a
    loop share a row, that of the worst of them."""
    _note_aliases(judge)
    named = {judged.candidate.value: judged.candidate.name for judged in judge.judged}
    known = _known(judge.judged)
    rows = [(_row(judged, judge, named, known), judged) for judged in judge.judged]
    order = {id(row): i for i, (row, _) in enumerate(rows)}
    _name_as_caller(rows, judge.names)
    groups: dict[tuple[str, Location, Verdict], list[tuple[GradientResult, Judged]]] = defaultdict(list)
    for row, judged in rows:
        row.pass_index = pass_index
        groups[row.name, row.location, row.verdict].append((row, judged))
    merged: list[tuple[GradientResult, list[Judged]]] = []
    for group in groups.values():
        worst = max((row for row, _ in group), key=lambda r: (r.local_error or 0.0, r.total_error or 0.0))
        worst.occurrences = len(group)
        merged.append((worst, [judged for _, judged in group]))
    return sorted(merged, key=lambda pair: order[id(pair[0])])


def _note_aliases(judge: Judge) -> None:
    """Of two names for one tensor, the first holds another gradient once the second has been changed in place."""
    by_root: dict[Value, list[Judged]] = defaultdict(list)
    for judged in judge.judged:
        if judged.found is not None and judged.candidate.binding is not None:
            by_root[judged.candidate.value.root].append(judged)
    for judgeds in by_root.values():
        for first, second in pairwise(judgeds):
            one, other = first.candidate.name, second.candidate.name
            same = first.candidate.value.root.shape == tuple(first.found.shape)  # type: ignore[union-attr]
            written = any(
                op.kind is Kind.MUTATE and op.index >= first.version.after for op in second.version.writes
            )
            if one == other or first.of is second.of or not same or not written:
                continue
            line = line_of(second.version, judge.places).line
            of = (
                f"the gradient of `{judge.names.shown(first.of)}`"
                if first.of is not None
                else "this gradient"
            )
            first.notes.append(
                f"`{one}` and `{other}` are one tensor: once line {line} has run, `{one}` is no longer {of}"
            )


def _name_as_caller(rows: list[tuple[GradientResult, Judged]], names: NameIndex) -> None:
    """One line that ran for several layers: the caller's names tell the runs apart, if it gave any."""
    by_place: dict[tuple[str, Location], list[tuple[GradientResult, Judged]]] = defaultdict(list)
    for row, judged in rows:
        by_place[row.name, row.location].append((row, judged))
    for same_place in by_place.values():
        given = [j.candidate.outer_name for _, j in same_place if j.candidate.outer_name]
        if len(same_place) < 2 or len(set(given)) < len(given):
            continue
        for row, judged in same_place:
            if judged.candidate.outer_name:
                row.name = judged.candidate.outer_name
                row.of = names.shown_for(judged.of, row.name) if judged.of is not None else None


def _row(judged: Judged, judge: Judge, named: dict[Value, str], known: Pairs) -> GradientResult:
    candidate, names, places = judged.candidate, judge.names, judge.places
    lines = lines_of(judged.version, places)
    if judged.at_return and candidate.returned is not None:
        lines = [places.location(candidate.returned)]
    at = judged.handed_on_at
    if at is not None and at.code is not None:
        lines = [places.line_location(at.code, at.line)]
    row = GradientResult(
        name=candidate.name,
        of=names.shown_for(judged.of, candidate.name) if judged.of is not None else None,
        location=lines[-1] if judged.written_at is None else line_of(judged.written_at, places),
        verdict=judged.verdict,
        problem=judged.problem,
        reason=judged.reason,
        evidence=judged.evidence,
        lines=lines,
        notes=list(judged.notes),
    )
    if judged.of is not None and judged.of.producer is not None:
        row.of_location = places.location(judged.of.producer)
    broadcast = (
        judged.meant is not None and judged.truth is not None and judged.meant.shape != judged.truth.shape
    )
    if judged.meant is not None and row.problem is Problem.NONE and not broadcast:
        row.problem = Problem.MISNAMED
        row.reason = f"it is the gradient of `{row.of}`, although its name says `{names.shown(judged.meant)}`"
    if judged.scale is not None:
        of = f"({row.of})" if row.of is not None and " " in row.of else row.of
        row.scale_note = f"kept as {judged.scale:g} x dL/d{of}"
    _measure(row, judged, known)
    if judged.hidden_error is not None:
        row.worst = None  # at the recorded parameters, where all that differs is rounding
    if broadcast and judged.meant is not None and row.problem is Problem.NONE:
        row.problem, row.of, row.of_shape = (
            Problem.SHAPE_NOTE,
            names.shown(judged.meant),
            tuple(judged.meant.shape),
        )
        row.reason = f"its shape is {row.shape}: it fits {row.of_shape} only by broadcasting"
    row.hidden_error = judged.hidden_error
    row.run_error, row.careful_error = judged.run_error, judged.careful_error
    blamed = [fault.judged for fault in judge.listed(judged.faults)]
    fault_names = [fault.candidate.name for fault in blamed if fault.verdict is not Verdict.INHERITED]
    if judged.verdict in (Verdict.INHERITED, Verdict.UNCHECKED):
        row.inherits_from = list(dict.fromkeys(fault_names))
    # The manual gradients its line read directly.
    row.upstream = list(dict.fromkeys(named[v] for v in judge.relations.nearest(judged.version, named)))
    return row


def _known(judged: Sequence[Judged]) -> Pairs:
    """What was found and what it should be, compared all at once."""
    pairs = {
        (id(j.found), id(other)): (j.found, other)
        for j in judged
        for other in (j.truth, j.expected)
        if j.found is not None and other is not None and j.apart is None
        if other.numel() == j.found.numel()
    }
    measured = dict(zip(pairs, compared(list(pairs.values())), strict=True))
    return measured | {(id(j.found), id(j.truth)): j.apart for j in judged if j.apart is not None}


def _measure(row: GradientResult, judged: Judged, known: Pairs) -> None:
    found = judged.found
    if found is None:
        return
    row.shape = tuple(found.shape)
    row.elements = found.numel()
    row.dtype = str(found.dtype)
    if judged.truth is not None:
        row.of_shape = tuple(judged.truth.shape)
        if (measured := known.get((id(found), id(judged.truth)))) is not None:
            _, row.found_norm, size = measured
            row.total_error = _error(measured, judged.noise)
            scale = row.found_norm * size
            if scale > 0 and math.isfinite(scale):
                row.cosine = inner(found, judged.truth) / scale
    expected = judged.expected
    if expected is not None:
        if (measured := known.get((id(found), id(expected)))) is not None:
            _, row.found_norm, row.expected_norm = measured
            row.local_error = _error(measured, judged.noise)
            if found is expected:
                row.mismatched = 0
            elif found.numel() and (math.isfinite(row.found_norm) or is_finite(found)):
                row.worst, row.mismatched = _by_element(found, expected)
        else:
            row.found_norm, row.expected_norm = norms([found, expected])
        scale = max(row.expected_norm, row.found_norm)
        if scale > 0 and math.isfinite(judged.noise):
            row.noise = judged.noise / scale
    if row.found_norm is None:
        row.found_norm = norm(found)


def _error(measured: tuple[float, float, float], noise: float) -> float:
    """Relative to the larger norm, but never to less than float32 rounding: against a truth that is zero by
    invariance a purely relative error means nothing."""
    apart, found, expected = measured
    return relative(apart, max(found, noise), expected)


def _by_element(found: torch.Tensor, expected: torch.Tensor) -> tuple[WorstElement, int]:
    """The element that is furthest off, and how many are."""
    expected = expected.detach().reshape(found.shape)
    apart = (found.detach() - expected).abs().reshape(-1)
    position = int(torch.argmax(apart))
    index = tuple(int(i) for i in np.unravel_index(position, tuple(found.shape)))
    pair = torch.stack([exact(expected).reshape(-1)[position], exact(found).reshape(-1)[position]])
    if pair.is_complex():  # the part that differs more
        parts = torch.view_as_real(pair)
        pair = parts[:, int((parts[1] - parts[0]).abs().argmax())]
    least = _WRONG_SHARE * float(torch.linalg.vector_norm(expected, math.inf))
    mismatched = 0 if float(apart[position]) <= least else int((apart > least).sum())
    return WorstElement(index, float(pair[0]), float(pair[1])), mismatched
