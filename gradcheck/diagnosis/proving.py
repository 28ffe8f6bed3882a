"""Proves edits: the pass is replayed with them in place, at the recorded step and elsewhere."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch

from gradcheck.base.groups import joined
from gradcheck.diagnosis.elsewhere import Elsewhere, Place
from gradcheck.diagnosis.namespace import BindingIndex
from gradcheck.diagnosis.trial import Setting
from gradcheck.fronts.tape import Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.judge.points import Point
from gradcheck.replay.compare import distance, multiple_of, norm
from gradcheck.replay.run import PassOps, PassRun
from gradcheck.replay.runner import Patch, ReplayError
from gradcheck.replay.variation import may_be_made_of

_SAME = 1e-9  # relative: as written, a piece gives what the replay gives
# Local error of another fault, beside the one before: its upstream gradient is another one now.
_NO_WORSE = 2.0

_PLACES = {
    "probe": ("a probe point", "{} probe points", "at"),
    "fresh": ("a fresh minibatch draw", "{} fresh minibatch draws", "on"),
    "constant": ("other constants", "other constants", "with"),
    "size": ("another size", "{} other sizes", "at"),
}


@dataclass(frozen=True, slots=True)
class Proof:
    """`right` where every gradient in question is right wherever the step could be replayed; `counts` says where that
    was. `sizes_vary`: there are sizes, and an edit that was tried at none but the recorded ones is not proved. Nor is one
    that changes a gradient by a factor that may be made of `hidden`, a size that could not be varied."""

    right: bool
    counts: Mapping[str, int] = field(default_factory=dict)
    sizes_vary: bool = True
    hidden: int | None = None

    @property
    def elsewhere(self) -> int:
        return sum(self.counts.get(kind, 0) for kind in _PLACES)

    @property
    def proved(self) -> bool:
        tried = not self.sizes_vary or self.counts.get("size", 0) > 0
        return self.right and self.elsewhere > 0 and tried and self.hidden is None

    @property
    def where(self) -> str:
        """`on the recorded step, at 2 probe points and at another size`."""
        places = ["on the recorded step"]
        for kind, (one, several, preposition) in _PLACES.items():
            count = self.counts.get(kind, 0)
            if count:
                places.append(f"{preposition} {one if count == 1 else several.format(count)}")
        return joined(places, len(places))

    @property
    def sentence(self) -> str:
        if self.proved:
            return f"proved by replay {self.where}"
        why = "the step could not be replayed at other sizes"
        if not self.elsewhere:
            why = "no other point could be replayed"
        elif self.counts.get("size", 0):
            why = f"its factor may stand for the size {self.hidden}, which could not be varied"
        return f"it fits {self.where.removeprefix('on ')}; {why}, so it is not proved"


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


class Prover:
    """For the edits of one pass."""

    def __init__(
        self, judgement: Judgement, judged_pass: JudgedPass, judge: Judge, index: BindingIndex
    ) -> None:
        self.judged_pass = judged_pass
        self.judge = without_stages(judge)
        self._elsewhere = Elsewhere(judgement, judged_pass, self.judge, index)
        # What these are the gradients of is known, whatever else they equal.
        self._stated = {pairing.gradient for pairing in judgement.recording.pairings}
        self._as_written: dict[tuple[object, Place], bool] = {}

    def prove(
        self,
        patches: Mapping[int, Patch],
        fixed: Iterable[Judged],
        moved: Mapping[int, int] | None = None,
        as_written: tuple[object, Callable[[], Mapping[int, Patch]]] | None = None,
    ) -> Proof:
        """Whether, with `patches` in place, the gradients in `fixed` are right everywhere and no other is worse than before.
        Points at which the pass leaves its domain are not used. `moved` gives, for gradients that are computed later
        than in the recording, the op after which they are known now, by that of the recording. `as_written` gives the
        piece of source itself as patches, by a key: where it does not compute what the recording does, at another
        size, it was not understood, and no edit of it either."""
        fixed = list(fixed)
        reads = {value for patch in patches.values() for value in patch.reads}
        prepared = PassOps(self.judged_pass.plan, reads)
        for before, after in (moved or {}).items():
            prepared.versions_after[after] += prepared.versions_after.pop(before, [])
        counts: dict[str, int] = {}
        factors: set[float] = set()
        hidden = {size for each in fixed if each.of is not None for size in each.of.shape if size > 1}
        instead: dict[int, set[Value]] = {}
        zero = {id(judged) for judged in fixed}

        def is_right(place: Place) -> bool | None:
            """None where nothing can be told."""
            if place.variation is not None and not self._is_understood(place, fixed, as_written):
                return None
            point = place.point(prepared, self.judge, patches)
            if not point.usable:
                return False if place.kind == "recorded" or place.variation is not None else None
            if not self._right_at(point, fixed, place, instead):
                return False
            if place.kind == "recorded":
                for judged in fixed:
                    before, after = (run.captured[id(judged.version)] for run in (self.judge.run, point.run))
                    factors.add(multiple_of(before, after, _SAME * norm(before)))
            zero.difference_update(
                id(judged) for judged in fixed if norm(point.run.captured[id(judged.version)]) > 0
            )
            return True

        for place in self._elsewhere(fixed):
            told: bool | None = None
            for reading in self._elsewhere.readings(place):
                right = is_right(reading)
                told = told if right is None else right
                if right:
                    counts[place.kind] = counts.get(place.kind, 0) + 1
                    varied = reading.variation.sizes.items() if reading.variation is not None else ()
                    hidden -= {old for old, new in varied if old != new}
                    break
            if told is False:
                return Proof(False)
        if zero:
            return Proof(False)  # what is nothing everywhere is no gradient
        found = (size for size in sorted(hidden) if any(may_be_made_of(n, size) for n in factors))
        return Proof(True, counts, self._elsewhere.has_sizes, next(found, None))

    def prove_alone(
        self, is_right: Callable[[Setting], bool], reads: Iterable[Value], judged: Judged
    ) -> Proof:
        """For an edit that no recorded op belongs to: whether what it gives for `judged` is right at every point."""
        prepared = PassOps(self.judged_pass.plan, reads)
        counts: dict[str, int] = {}
        for place in self._elsewhere(()):
            point = place.point(prepared, self.judge)
            if not point.usable:
                continue
            after = judged.version.after
            run = PassRun(prepared, torch.float64, place.overrides, keep=after, variation=place.variation)
            if run.manual is None or not is_right(Setting(point.judging, run.manual)):
                return Proof(False)
            counts[place.kind] = counts.get(place.kind, 0) + 1
        return Proof(counts.pop("recorded", 0) > 0, counts, self._elsewhere.has_sizes)

    def _is_understood(
        self,
        place: Place,
        fixed: list[Judged],
        as_written: tuple[object, Callable[[], Mapping[int, Patch]]] | None,
    ) -> bool:
        if as_written is None:
            return True
        key, make = as_written
        known = self._as_written.get((key, place))
        if known is None:
            known = self._as_written[key, place] = self._reproduces(place, fixed, make())
        return known

    def _reproduces(self, place: Place, fixed: list[Judged], patches: Mapping[int, Patch]) -> bool:
        reads = {value for patch in patches.values() for value in patch.reads}
        prepared = PassOps(self.judged_pass.plan, reads)
        try:
            with_patches, without = (
                PassRun(prepared, torch.float64, place.overrides, patches=given, variation=place.variation)
                for given in (patches, None)
            )
        except ReplayError:
            return False
        for judged in fixed:
            found, recorded = (run.captured.get(id(judged.version)) for run in (with_patches, without))
            if found is None or recorded is None or found.shape != recorded.shape:
                return False
            if distance(found, recorded) > _SAME * norm(recorded) + 1e-300:
                return False
        return True

    def _right_at(
        self, point: Point, fixed: list[Judged], before: Place, instead: dict[int, set[Value]]
    ) -> bool:
        """`instead` collects, for gradients that turn out to be those of another value than was thought, which ones it
        can be at all points so far."""
        wrong = []
        for judged in fixed:
            outcome = point.judge(judged)
            found = point.run.captured.get(id(judged.version))
            if found is None or judged.of is None or found.shape != point.run.graph.tensor(judged.of).shape:
                return False
            if outcome is None or outcome[0]:
                wrong.append(judged)
        stated = any(judged.candidate.value in self._stated for judged in wrong)
        if (
            len(wrong) == len(fixed)
            or stated
            or not all(_belongs_elsewhere(point, j, instead) for j in wrong)
        ):
            return False
        for judged in self.judge.judged:
            if id(judged) in before.true and judged.version.final and not point.is_true(judged):
                return False  # two faults that cancel: one edit alone spoils what is right
            outcome = point.judge(judged)
            if judged in wrong or (outcome is not None and not outcome[0]):
                continue
            error = outcome[1] if outcome is not None else float("inf")
            if error > _NO_WORSE * before.wrong.get(id(judged), -1.0):
                return False
        return True


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
