"""The line that several accused ones, or one that nothing else explains, have their fault from.

Blame needs an intervention (principle 2). A gradient that equals none, or only that of a value nobody named, and whose
readers become right once the true gradient of some value is in its place, at every turn of a loop, is that value's
gradient, whatever it is called: its own line is at fault, and not those that read it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.lines import line_of
from gradcheck.judge.nameless import read_by
from gradcheck.judge.verdict import GradientResult, Problem, Verdict
from gradcheck.program.location import Location
from gradcheck.replay.compare import differentiable, distance, norm
from gradcheck.replay.earlier import Carried, as_of_now, carried_values
from gradcheck.replay.passes import Candidate, Version
from gradcheck.replay.run import PassOps, PassRun
from gradcheck.replay.runner import ReplayError

Meaning = dict[Version, Value]
Line = tuple[str, int | None, int]

_MOST = 120  # values that the gradients of one line are tried as: what is found is no matter of time
_RIGHT = (Verdict.CORRECT, Verdict.INHERITED, Verdict.UNOBSERVABLE, Verdict.COMPENSATED)


def accused_lines(rows: list[GradientResult]) -> set[Line]:
    return {_line(r.location) for r in rows if r.verdict in (Verdict.INTRODUCED, Verdict.COMPENSATED)}


def _line(place: Location) -> Line:
    return place.file, place.cell, place.line


class CommonCauses:
    """Of the gradients of one pass that are accused at the recorded point."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._judged = {judged.version: judged for judged in judge.judged}
        self._accused = [
            j
            for j in judge.judged
            if j.verdict is Verdict.INTRODUCED and j.problem is Problem.WRONG_VALUE and j.hidden_error is None
        ]

    def found(self) -> list[tuple[Line, Meaning]]:
        """What the gradients of one line may be the gradients of, so that accused ones become right: the line that
        mends most lines first, and of those the earliest."""
        if not self._accused:
            return []
        plan, lines = self._judge.plan, len({self._line_of(j.version) for j in self._accused})
        candidates, nameless = plan.candidates, read_by(self._judge, self._accused)
        plan.carried, plan.candidates = carried_values(plan.forward_ops), [*candidates, *nameless]
        try:
            run = PassRun(PassOps(plan), torch.float64)
        except ReplayError:
            return []
        finally:
            plan.carried, plan.candidates = {}, candidates
        found = []
        for line, versions in self._suspects(nameless):
            least = 1 if any(self._is_unexplained(version) for version in versions) else 2
            for meaning in islice(self._meanings(run, versions), _MOST if least <= lines else 0):
                mended = self._mended(run, line, meaning)
                if mended >= least:
                    found.append((-mended, versions[0].after, line, meaning))
        found.sort(key=lambda entry: entry[:2])
        return [(line, meaning) for _, _, line, meaning in found]

    def _line_of(self, version: Version) -> Line:
        return _line(line_of(version, self._judge.places))

    def _suspects(self, nameless: list[Candidate]) -> Iterator[tuple[Line, list[Version]]]:
        """By their line, the gradients that accused ones are computed from, and that no name says are right."""
        judge, wrong = self._judge, {j.version for j in self._accused}
        found: dict[Line, list[Version]] = defaultdict(list)
        for candidate in judge.plan.candidates:
            if candidate.divided or candidate.of is not None or candidate.returned is not None:
                continue
            for version in candidate.versions:
                made = candidate.value.producer
                begun = len(version.writes) < 2 and made is not None and made.operation in ops.UNIFORM
                if not begun and judge.captured(version) is not None:
                    found[self._line_of(version)].append(version)
        for line, versions in found.items():
            read = any(not wrong.isdisjoint(judge.relations.consumers(version)) for version in versions)
            if read and not all(self._is_right(version) for version in versions):
                yield line, sorted(versions, key=lambda version: version.after)
        others: dict[Line, list[Version]] = defaultdict(list)
        for candidate in nameless:
            others[self._line_of(candidate.versions[0])] += candidate.versions
        yield from others.items()

    def _is_unexplained(self, version: Version) -> bool:
        judged = self._judged.get(version)
        return judged is None or judged.verdict not in _RIGHT or version.candidate.second_name

    def _is_right(self, version: Version) -> bool:
        judged = self._judged.get(version)
        named = judged is not None and judged.of is not None and self._judge.partners.has_name(judged.of)
        return named and not self._is_unexplained(version)

    def _meanings(self, run: PassRun, versions: list[Version]) -> Iterator[Meaning]:
        """The values of one line of the forward pass that they may belong to, those with a name first: turn by turn, in
        the order of the loop or against it. An accused gradient is that of something they are computed from."""
        judge, shape = self._judge, run.captured[id(versions[0])].shape
        behind = {j.of for j in self._accused if j.of is not None}
        behind |= flow.forward(judge.plan.forward_ops, behind, key=flow.itself)
        groups: dict[object, list[Value]] = defaultdict(list)
        for value, truth in run.graph.truth.items():
            if truth.shape == shape and value is not judge.plan.loss:
                made, turn = value.producer, value.turn if isinstance(value, Carried) else None
                groups[value if made is None else (made.code, made.lasti, turn)].append(value)
        near = [values for values in groups.values() if any(as_of_now(value) in behind for value in values)]
        near.reverse()
        near.sort(key=lambda values: not judge.partners.has_name(as_of_now(values[0])))
        for values in near:
            if len(versions) == 1:
                yield from ({versions[0]: value} for value in reversed(values))
                continue
            for order in (values[::-1], values):
                for shift in (0, 1) if len(values) > 1 else (0,):
                    yield dict(zip(versions, order[shift:], strict=False))

    def _mended(self, run: PassRun, line: Line, meaning: Meaning) -> int:
        """How many accused lines become right; 0 if anything right becomes wrong."""
        truth, instead = run.graph.truth, {}
        for version, value in meaning.items():
            found = run.captured.get(id(version))
            if found is None or found.shape != truth[value].shape:
                return 0
            instead[id(version)] = truth[value]
        with_truth, mended = run.with_replaced(instead), set()
        for judged in self._judge.judged:
            own, new = self._line_of(judged.version), with_truth.get(id(judged.version))
            if own == line or new is None or judged.truth is None:
                continue
            if judged.verdict is Verdict.CORRECT and not self._is_true(judged, new):
                return 0
            if judged in self._accused and (self._is_true(judged, new) or self._is_of_another(judged, new)):
                mended.add(own)
        return len(mended)

    def _is_true(self, judged: Judged, found: torch.Tensor) -> bool:
        truth = judged.truth
        if truth is None or not differentiable(found) or found.numel() != truth.numel():
            return False
        tolerance = self._judge.tolerance(judged.version, norm(found), judged.noise)
        return distance(found.reshape(truth.shape), truth) <= tolerance

    def _is_of_another(self, judged: Judged, found: torch.Tensor) -> bool:
        """What is wrong at all turns of a loop may have been taken for the gradient of another turn."""
        if judged.candidate.of is not None or not differentiable(found):
            return False
        tolerance = self._judge.tolerance(judged.version, norm(found), judged.noise)
        known = self._judge.expectation(frozenset())[1]
        return norm(found) > tolerance and bool(known.equals(found, tolerance))
