"""One wrong gradient, with everything its explanations are tried on."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

import torch

from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.segment import Segment, earlier_gradients, gradients_read
from gradcheck.diagnosis.points import probe_overrides
from gradcheck.fronts.tape import Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.judge.points import Point
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.passes import Version
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import attempted


class CannotExplainError(Exception):
    """There is nothing that an explanation could be compared with."""


class Case:
    """`scenes` are the recorded point and the probe points, the one with the largest error first."""

    def __init__(self, judgement: Judgement, judged_pass: JudgedPass, judged: Judged) -> None:
        judge = judged_pass.judge
        if judge is None or judged.of is None or judged.found is None or judged.expected is None:
            raise CannotExplainError
        self.judgement = judgement
        self.judge = judge
        self.judged = judged
        self.at: Value = judged.of
        self.plan = judged_pass.plan
        self.prepared = judged_pass.prepared
        points = usable_points(judgement, judged_pass)
        self.scenes = [_scene(judge.run, judge, judged)]
        self.scenes += [_scene(point.run, point.judging, judged, point.overrides) for point in points]
        if not any(scene.wrong for scene in self.scenes):
            raise CannotExplainError
        self.scenes.sort(key=lambda scene: -(scene.error / scene.size if scene.size else 0.0))
        self.constants: object = None  # those that can be named here, once they are asked for

    @property
    def first(self) -> Scene:
        return self.scenes[0]

    @cached_property
    def read(self) -> list[Judged]:
        """The manual gradients that the line reads."""
        return gradients_read(self.judged, self.judge, self.plan.forward_values)

    @cached_property
    def segment(self) -> Segment:
        ends = {judged.of for judged in self.read if judged.of is not None and judged.of is not self.at}
        ends.update(stop for stop in self.first.stops if stop is not self.at)
        return Segment(self.judge.run.graph, self.at, ends, self.plan.forward_ops)

    @cached_property
    def earlier(self) -> list[Version]:
        return earlier_gradients(self.judged, self.judge)

    @cached_property
    def _gradient_of(self) -> dict[Value, Judged]:
        return {j.of: j for j in self.judge.judged if j.of is not None and j is not self.judged}

    def manual_gradient_of(self, value: Value) -> Judged | None:
        return self._gradient_of.get(value)

    def value_of(self, version: Version) -> Value | None:
        """The value that a manual gradient was judged to belong to."""
        return next((j.of for j in self.judge.judged if j.version is version), None)

    def is_named(self, value: Value) -> bool:
        return bool(self.judgement.names.forward_names(value))

    def has(self, value: Value) -> bool:
        """Whether a value was replayed."""
        return attempted(self.first.tensor, value) is not None

    @cached_property
    def named_by_shape(self) -> dict[tuple[int, ...], list[Value]]:
        """The forward values that a person has a name for."""
        found: dict[tuple[int, ...], list[Value]] = defaultdict(list)
        for value in self.judge.run.graph.values:
            if value.shape and self.is_named(value):
                found[tuple(value.shape)].append(value)
        return found

    @cached_property
    def most_tries(self) -> int:
        """Small gradients are cheap to compute again, large ones are not."""
        return int(min(4000, max(60, 4e7 / max(1, self.first.expected.numel()))))

    def observations(self) -> int:
        """How many numbers an explanation with a free factor is compared with."""
        return sum(scene.found.numel() for scene in self.scenes if scene.wrong)


def _scene(
    run: PassRun, judging: Judge, judged: Judged, overrides: Mapping[Value, torch.Tensor] | None = None
) -> Scene:
    found = run.captured.get(id(judged.version))
    if found is None or not found.is_floating_point() or not bool(torch.isfinite(found).all()):
        raise CannotExplainError
    found = found / (judged.scale or 1.0)
    try:
        return Scene(run, judging, judged, handed_faults(judging, judged), found, overrides)
    except KeyError:
        raise CannotExplainError from None


def handed_faults(judging: Judge, judged: Judged) -> frozenset[int]:
    """The wrong gradients that the line was handed: all that have an influence on it, but its own and later ones."""
    if any(j is judged for j in judging.judged):  # the recorded point
        indices = set(judged.faults)
    else:
        own = next((i for i, fault in enumerate(judging.faults) if fault.judged is judged), None)
        indices = {
            i
            for i in judging.influence(judged.version)
            if (i < own if own is not None else judging.faults[i].judged.version.after < judged.version.after)
        }
    if any(judging.faults[i].gradient is None for i in indices):
        raise CannotExplainError  # what cannot take the place of a gradient cannot be handed on either
    return frozenset(i for i in indices if judging.faults[i].judged is not judged)


def usable_points(judgement: Judgement, judged_pass: JudgedPass) -> list[Point]:
    """The probe points of a pass. Where judging it needed none (every gradient is wrong at the recorded point
    already), they are made here: an explanation is compared with them too."""
    judge = judged_pass.judge
    if judged_pass.points or judge is None:
        return judged_pass.points
    if any(j.verdict in (Verdict.CORRECT, Verdict.UNOBSERVABLE) and j.of is not None for j in judge.judged):
        return []  # none could be used
    for overrides in probe_overrides(judgement, judged_pass, judge) or ():
        point = Point(judged_pass.prepared, judge, overrides)
        if point.usable:
            judged_pass.points.append(point)
    return judged_pass.points
