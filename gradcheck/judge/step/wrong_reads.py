"""Lines that do their own job right, on the gradient of another value than the one they should have read.

`d_A = d_Z @ W.T` is right if `d_Z` were the gradient of the value before batch normalisation. That is proved by a replay:
the gradient that the line read is put in the place of the true one at that value, and if what then arrives is what
the line computed, the line is right for it. Which gradient it should have read, and why it read the other (too
early, of the turn before, past it), then follows from names and from the order of the lines.
"""

from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property

import torch

from gradcheck.fronts.gradient_names import split_path
from gradcheck.fronts.tape import Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged, replaced_by
from gradcheck.judge.step.trails import Flow
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.compare import differentiable, distance, norm, same_but_for_ones
from gradcheck.replay.passes import Version
from gradcheck.replay.probes import Jittered, probe_roots
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import attempted

_MOST_TRIALS = 24  # backward passes spent on one wrong line


class Why(Enum):
    UNFINISHED = auto()  # it reads a gradient before its last branch is added
    STALE = auto()  # it reads a variable that holds the right gradient only later
    SKIPPED = auto()  # the right gradient is there, and nothing reads it
    ANOTHER = auto()  # the right gradient is there, and other lines read it


@dataclass(frozen=True, slots=True)
class WrongRead:
    """`wrong` would be right if `read` were the gradient of the value that `meant` is the gradient of."""

    wrong: Judged
    read: Version
    meant: Judged
    why: Why


def find_wrong_reads(judge: Judge, flow: Flow) -> list[WrongRead]:
    search = _Search(judge, flow)
    found = (search.explain(judged) for judged in judge.judged if _is_wrong(judged))
    return [wrong_read for wrong_read in found if wrong_read is not None]


def _is_wrong(judged: Judged) -> bool:
    if judged.verdict is not Verdict.INTRODUCED or judged.of is None or judged.found is None:
        return False
    return judged.problem in (Problem.WRONG_VALUE, Problem.HIDDEN)


class _Search:
    def __init__(self, judge: Judge, flow: Flow) -> None:
        self._judge = judge
        self._flow = flow
        self._given: dict[tuple[frozenset[int], int, Value], dict[Value, torch.Tensor]] = {}

    def explain(self, wrong: Judged) -> WrongRead | None:
        options: list[WrongRead] = []
        trials = 0
        for read in self._flow.reads(wrong.version):
            for meant in self._judge.judged:
                why = self._why(wrong, read, meant)
                if why is None or not self._fits(read, meant):
                    continue
                trials += 1
                if trials > _MOST_TRIALS:
                    break
                if self._proved(wrong, read, meant):
                    options.append(WrongRead(wrong, read, meant, why))
        # What stands nearest before the wrong line is the likeliest of several gradients of one value.
        return min(options, key=lambda m: (m.why.value, -m.meant.version.after), default=None)

    def _why(self, wrong: Judged, read: Version, meant: Judged) -> Why | None:
        if meant is wrong or meant.of is None or meant.found is None or meant.of is wrong.of:
            return None
        known = self._flow.judged.get(read)
        read_of = known.of if known is not None else None
        if meant.candidate is read.candidate:
            later = meant.version.after > read.after
            return Why.UNFINISHED if later and meant.version.after > wrong.version.after else None
        if read_of is meant.of:
            return None
        if meant.version.after > wrong.version.after:
            if not _same_variable(read, meant.version):
                return None
            return Why.STALE if read_of is not None else Why.UNFINISHED
        return Why.ANOTHER if self._flow.is_used(meant.version) else Why.SKIPPED

    def _fits(self, read: Version, meant: Judged) -> bool:
        found = self._judge.run.captured.get(id(read))
        assert meant.of is not None
        truth = self._judge.run.graph.truth.get(meant.of)
        if found is None or truth is None or not differentiable(found):
            return False
        return same_but_for_ones(found.shape, truth.shape) and bool(torch.isfinite(found).all())

    def _proved(self, wrong: Judged, read: Version, meant: Judged) -> bool:
        assert wrong.of is not None
        assert meant.of is not None
        # A fault that the initialisation hides proves nothing at the recorded point: there the line is right.
        run = self._probe if wrong.problem is Problem.HIDDEN else self._judge.run
        found = run.captured.get(id(wrong.version)) if run is not None else None
        if run is None or found is None:
            return False
        arriving = self._arriving(run, wrong, read, meant.of).get(wrong.of)
        if arriving is None or not same_but_for_ones(arriving.shape, found.shape):
            return False
        size = max(norm(arriving), norm(found))
        tolerance = self._judge.tolerance(wrong.version, size, wrong.noise)
        return size > tolerance and distance(arriving, found) <= tolerance

    def _arriving(self, run: PassRun, wrong: Judged, read: Version, at: Value) -> dict[Value, torch.Tensor]:
        """The gradient of every value if what was read were the gradient at `at`."""
        found = run.captured.get(id(read))
        if found is None or at not in run.graph.truth:
            return {}
        if run is self._judge.run and wrong.of is not None:
            return self._judge.changed(wrong.faults, at, found, wanted=[wrong.of])
        key = (wrong.faults, id(read), at)
        known = self._given.get(key)
        if known is None:
            # A wrong gradient on the way, as it is at this point.
            replaced = replaced_by(self._judge.listed(wrong.faults), run)
            replaced[at] = found.reshape(run.graph.truth[at].shape)
            known = self._given[key] = run.graph.gradients(replaced)
        return known

    @cached_property
    def _probe(self) -> PassRun | None:
        """The step at moved parameters."""
        judge = self._judge
        roots = probe_roots(judge.plan, judge.rooted, judge.run.graph.truth)
        return attempted(PassRun, judge.prepared, torch.float64, Jittered(judge.run, roots, seed=0))


def _same_variable(left: Version, right: Version) -> bool:
    """Whether a person would say that both are `delta`, at different times."""
    one, other = left.candidate.binding, right.candidate.binding
    if one is None or other is None or one.scope != other.scope:
        return False
    return one.name == other.name and not split_path(one.name)[0]
