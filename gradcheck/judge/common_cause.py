"""The line that several accused ones, or one that nothing else explains, have their fault from.

Blame needs an intervention (principle 2). A gradient that equals none, or only that of a value nobody named, and whose
readers become right once the true gradient of some value is in its place, at every turn of a loop, is that value's
gradient, whatever it is called: its own line is at fault, and not those that read it.
"""

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
from gradcheck.replay.track import Track

Meaning = dict[Version, Value]
Line = tuple[str, int | None, int]

_MOST = 120  # values that the gradients of one line are tried as: what is found is no matter of time
_MOST_LINES = 24  # of the forward pass, whose values they are
_READERS = 4  # that say whether what they read is at fault
_RIGHT = (Verdict.CORRECT, Verdict.INHERITED, Verdict.UNOBSERVABLE, Verdict.COMPENSATED)


def accused_lines(
    rows: list[GradientResult], verdicts: tuple[Verdict, ...] = (Verdict.INTRODUCED, Verdict.COMPENSATED)
) -> set[Line]:
    """Or those of which something else is said."""
    return {_line(row.location) for row in rows if row.verdict in verdicts}


def _line(place: Location) -> Line:
    return place.file, place.cell, place.line


class CommonCauses:
    """Of the gradients of one pass that are accused at the recorded point."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._judged = {judged.version: judged for judged in judge.judged}
        self._in_order = sorted(judge.judged, key=lambda judged: judged.version.after)
        self._lines: dict[Version, Line] = {}
        self._accused = {
            j: None
            for j in judge.judged
            if j.verdict is Verdict.INTRODUCED and j.problem is Problem.WRONG_VALUE and j.hidden_error is None
        }

    def found(self) -> list[tuple[Line, Meaning]]:
        """What the gradients of one line may be the gradients of, so that accused ones become right: the line that
        mends most lines first, and of those the earliest."""
        if not self._accused:
            return []
        has_name = self._judge.partners.has_name
        plan, lines = self._judge.plan, len({self._line_of(j.version) for j in self._accused})
        candidates, nameless = plan.candidates, read_by(self._judge, self._accused)
        plan.carried, plan.candidates = carried_values(plan.forward_ops), [*candidates, *nameless]
        try:
            run = PassRun(PassOps(plan), torch.float64)
        except ReplayError:
            return []
        finally:
            plan.carried, plan.candidates = {}, candidates
        found, track = [], run.track({})
        for line, versions in sorted(self._suspects(nameless), key=lambda suspect: suspect[1][0].after):
            least = 1 if any(self._is_unexplained(version) for version in versions) else 2
            as_it_stands = all(self._is_right(version) for version in versions)
            track.after(versions[0])
            if id(versions[0]) not in run.captured:
                continue  # with the values taken apart that carry it, this is replayed no more
            for meaning in islice(self._meanings(run, versions), _MOST if least <= lines else 0):
                mended = self._mended(run, track, line, meaning)
                # The gradient of a named value is meant as that of a value without one only where that mends several lines.
                if mended < 2 and as_it_stands and not all(has_name(as_of_now(v)) for v in meaning.values()):
                    continue
                if mended >= least:
                    found.append((-mended, versions[0].after, line, meaning))
        found.sort(key=lambda entry: entry[:2])
        return [(line, meaning) for _, _, line, meaning in found]

    def _line_of(self, version: Version) -> Line:
        if version not in self._lines:
            self._lines[version] = _line(line_of(version, self._judge.places))
        return self._lines[version]

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
            if read and any(self._is_unexplained(version) for version in versions):
                yield line, sorted(versions, key=lambda version: version.after)
        others: dict[Line, list[Version]] = defaultdict(list)
        for candidate in (each for each in nameless if each.binding or each.versions[0].writes):
            others[self._line_of(candidate.versions[0])] += candidate.versions
        yield from others.items()

    def _is_unexplained(self, version: Version) -> bool:
        """Whether its numbers, if any, are all that says whose gradient it is."""
        of = self._judged[version].of if self._is_right(version) else None
        return of is None or not self._judge.partners.is_named_for(version.candidate, of)

    def _is_right(self, version: Version) -> bool:
        judged = self._judged.get(version)
        if judged is None or judged.of is None or version.candidate.second_name:
            return False
        return judged.verdict in _RIGHT and self._judge.partners.has_name(judged.of)

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
        near = self._nearest(near, versions[0], list(run.graph.truth))
        near.reverse()
        near.sort(key=lambda values: not judge.partners.has_name(as_of_now(values[0])))
        for values in near:
            if len(versions) == 1:
                yield from ({versions[0]: value} for value in reversed(values))
                continue
            for order in (values[::-1], values):
                for shift in (0, 1) if len(values) > 1 else (0,):
                    yield dict(zip(versions, order[shift:], strict=False))

    def _nearest(self, groups: list[list[Value]], version: Version, order: list[Value]) -> list[list[Value]]:
        """Those nearest to the value of the first accused gradient that is computed from this one."""
        if len(groups) <= _MOST_LINES:
            return groups
        later, place = self._judge.ops[version.after + 1 :], {v: i for i, v in enumerate(order)}
        made_of_it = flow.forward(later, {version.candidate.value}, key=flow.storage)
        accused = [(j.of, j.candidate.value.root) for j in self._in_order if j in self._accused and j.of]
        places = [place.get(of, 0) for of, root in accused if root in made_of_it]
        ranked = sorted(
            groups, key=lambda values: min(abs(place[v] - places[0]) for v in values) if places else 0
        )
        return [values for values in groups if values in ranked[:_MOST_LINES]]

    def _mended(self, run: PassRun, track: Track, line: Line, meaning: Meaning) -> int:
        """How many accused lines become right; 0 if anything right becomes wrong, or the first ones that read it stay wrong.
        `track` has come to the first of these gradients."""
        truth, mended, still_wrong = run.graph.truth, set(), 0
        track = track.fork()
        for version, value in meaning.items():
            found = run.captured.get(id(version))
            if found is None or found.shape != truth[value].shape:
                return 0
            track.replace(version, truth[value])
        first, last = (choose(version.after for version in meaning) for choose in (min, max))
        for judged in self._in_order:
            own, version = self._line_of(judged.version), judged.version
            is_accused = judged in self._accused
            is_right = judged.verdict is Verdict.CORRECT
            if version.after < first or own == line or judged.truth is None or not (is_accused or is_right):
                continue
            new = track.after(version).captured.get(id(version))
            if new is None:
                continue
            if is_right:
                if not self._is_true(judged, new):
                    return 0
            elif self._is_true(judged, new) or self._is_of_another(judged, new):
                mended.add(own)
            elif version.after > last and not torch.equal(new, run.captured[id(version)]):
                still_wrong += 1
                if still_wrong == _READERS and not mended:
                    return 0
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
