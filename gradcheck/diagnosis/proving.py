"""Proves edits: the pass is replayed with them in place at the recorded step, on fresh draws and at probe points."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch

from gradcheck.diagnosis.points import probe_overrides
from gradcheck.diagnosis.trial import Setting
from gradcheck.fronts.tape import Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.judge.points import Point
from gradcheck.replay.compare import norm
from gradcheck.replay.fresh import fresh_draws
from gradcheck.replay.run import PassOps, PassRun
from gradcheck.replay.runner import Patch

FRESH_DRAWS = 2  # beside the probe points, which keep the batch: another batch, other masks


@dataclass(frozen=True, slots=True)
class Proof:
    """`right` where every gradient in question is right at every point; `elsewhere` counts the points beside the
    recorded one: without any, nothing is proved."""

    right: bool
    probes: int = 0
    fresh: int = 0

    @property
    def elsewhere(self) -> int:
        return self.probes + self.fresh

    @property
    def proved(self) -> bool:
        return self.right and self.elsewhere > 0

    @property
    def sentence(self) -> str:
        places = ["on the recorded step"]
        if self.probes:
            places.append(f"at {self.probes} probe points" if self.probes > 1 else "at a probe point")
        if self.fresh:
            places.append(
                f"on {self.fresh} fresh minibatch draws" if self.fresh > 1 else "on a fresh minibatch draw"
            )
        listed = places[0] if len(places) == 1 else f"{', '.join(places[:-1])} and {places[-1]}"
        return f"proved by replay {listed}"


def without_stages(judge: Judge) -> Judge:
    """The judge of the final values alone. What a gradient was while it was being built is no fault that the lines
    behind it are measured by: an edit makes right what is there in the end."""
    finished = copy.copy(judge)
    last: dict[tuple[Value, Value | None], int] = {}
    for judged in judge.judged:
        key = judged.candidate.value, judged.of
        last[key] = max(judged.version.after, last.get(key, 0))
    finished.judged = [j for j in judge.judged if j.version.after == last[j.candidate.value, j.of]]
    return finished


@dataclass
class Prover:
    """Holds the points of one pass, and which gradients were wrong at each of them before anything was edited."""

    judgement: Judgement
    judged_pass: JudgedPass
    judge: Judge
    _places: list[tuple[str, dict[Value, torch.Tensor]]] = field(default_factory=list)
    _wrong_before: list[set[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.judge = without_stages(self.judge)
        self._places.append(("recorded", {}))
        moved = probe_overrides(self.judgement, self.judged_pass, self.judge)
        if moved is None:
            return
        self._places += [("probe", overrides) for overrides in moved]
        for seed in range(FRESH_DRAWS):
            drawn = fresh_draws(self.judged_pass.prepared.manual, seed)
            if drawn:
                self._places.append(("fresh", {**drawn, **(moved[seed % len(moved)] if moved else {})}))

    def prove(
        self, patches: Mapping[int, Patch], fixed: Iterable[Judged], moved: Mapping[int, int] | None = None
    ) -> Proof:
        """Whether, with `patches` in place, the gradients in `fixed` are right at every point and none that was right
        has become wrong. Points at which the pass leaves its domain are not used. `moved` gives, for gradients that
        are computed later than in the recording, the op after which they are known now, by that of the recording."""
        fixed = list(fixed)
        reads = {value for patch in patches.values() for value in patch.reads}
        prepared = PassOps(self.judged_pass.plan, reads)
        for before, after in (moved or {}).items():
            prepared.versions_after[after] += prepared.versions_after.pop(before, [])
        counts = {"recorded": 0, "probe": 0, "fresh": 0}
        instead: dict[int, set[Value]] = {}
        for number, (kind, overrides) in enumerate(self._places):
            point = Point(prepared, self.judge, overrides, patches)
            if not point.usable:
                if kind == "recorded":
                    return Proof(False)
                continue
            if not self._right_at(point, fixed, self._before(number), instead):
                return Proof(False)
            counts[kind] += 1
        return Proof(True, counts["probe"], counts["fresh"])

    def prove_alone(self, is_right: Callable[[Setting], bool], reads: Iterable[Value]) -> Proof:
        """For an edit that no recorded op belongs to: whether what it gives is right at every point."""
        prepared = PassOps(self.judged_pass.plan, reads)
        counts = {"recorded": 0, "probe": 0, "fresh": 0}
        for kind, overrides in self._places:
            point = Point(prepared, self.judge, overrides)
            if not point.usable:
                continue
            run = PassRun(prepared, torch.float64, overrides, keep=True)
            if run.manual is None or not is_right(Setting(point.judging, run.manual)):
                return Proof(False)
            counts[kind] += 1
        return Proof(bool(counts["recorded"]), counts["probe"], counts["fresh"])

    def _right_at(
        self, point: Point, fixed: list[Judged], before: set[int], instead: dict[int, set[Value]]
    ) -> bool:
        """`instead` collects, for gradients that turn out to be those of another value than was thought, which ones it
        can be at all points so far."""
        wrong = []
        for judged in fixed:
            outcome = point.judge(judged)
            found = point.run.captured.get(id(judged.version))
            if found is None or judged.of is None or tuple(found.shape) != tuple(judged.of.shape):
                return False
            if outcome is None or outcome[0]:
                wrong.append(judged)
        if len(wrong) == len(fixed) or not all(_belongs_elsewhere(point, j, instead) for j in wrong):
            return False
        for judged in self.judge.judged:
            outcome = point.judge(judged)
            if (outcome is None or outcome[0]) and id(judged) not in before:
                return False
        return True

    def _before(self, number: int) -> set[int]:
        """The gradients that are wrong at a point without any edit."""
        while len(self._wrong_before) <= number:
            point = Point(self.judged_pass.prepared, self.judge, self._places[len(self._wrong_before)][1])
            wrong = set()
            for judged in self.judge.judged:
                outcome = point.judge(judged) if point.usable else None
                if outcome is None or outcome[0]:
                    wrong.add(id(judged))
            self._wrong_before.append(wrong)
        return self._wrong_before[number]


def _belongs_elsewhere(point: Point, judged: Judged, instead: dict[int, set[Value]]) -> bool:
    """Whether a gradient that one line of a loop computed for several values, and that is not right for the value it
    was taken for while it was wrong, is right for another: the last turn of a loop back through time is that of the
    first state. It has to be the same one at every point."""
    found = point.run.captured[id(judged.version)]
    judge = point.judging
    own = {i for i, fault in enumerate(judge.faults) if fault.judged.version is judged.version}
    tolerance = judge.tolerance(judged.version, norm(found), judge.noise(judged.version))
    equal = set(judge.expectation(judge.influence(judged.version) - own)[1].equals(found, tolerance))
    taken = {other.of for other in judge.judged if other is not judged}
    possible = instead.setdefault(id(judged), equal - taken)
    possible &= equal
    return norm(found) > tolerance and bool(possible)
