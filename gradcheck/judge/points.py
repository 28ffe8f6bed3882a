"""A point at which a judged pass is replayed again: the pairs stay as they were found, the numbers are new."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.case import Case
from gradcheck.judge.data_rounding import LARGEST
from gradcheck.judge.intervention import has_victim
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Fault, Judged
from gradcheck.judge.outputs import Outputs
from gradcheck.replay.compare import differentiable, distance, is_finite, norm
from gradcheck.replay.run import PassOps, PassRun
from gradcheck.replay.runner import Patch, ReplayError
from gradcheck.replay.variation import Variation


class Point:
    """One probe point: the pairs found at the recorded point, compared with the truth at this one.

    With `patches`, the person's program as it would be with some of its statements changed; with a `variation`, with
    other sizes or constants.
    """

    def __init__(
        self,
        prepared: PassOps,
        judge: Judge,
        overrides: dict[Value, torch.Tensor],
        patches: Mapping[int, Patch] | None = None,
        measure_noise: bool = True,
        variation: Variation | None = None,
    ) -> None:
        self._base = judge
        self._patches = patches or {}
        self._variation = variation
        self._judging: Judge | None = None
        self.overrides = overrides
        self.coarse: PassRun | None
        self._outcomes: dict[int, tuple[bool, float, bool]] = {}
        self.unlike: set[int] = (
            set()
        )  # no gradients of their partners here, and nothing is wrong because of that
        self.fitting: dict[
            int, set[Value]
        ] = {}  # of which of several equal ones each is the gradient here too
        self.usable = False
        try:
            self.run = PassRun(prepared, torch.float64, overrides, patches=patches, variation=variation)
            self.coarse = None
            if measure_noise:
                self.coarse = PassRun(
                    prepared, torch.float32, overrides, patches=patches, variation=variation
                )
        except ReplayError:
            return
        self.usable = bool(torch.isfinite(self.run.graph.loss_tensor).all())
        if self.usable:
            self._follow()

    @property
    def judging(self) -> Judge:
        """What each line should give here."""
        if self._judging is None:
            try:
                self._follow()
            except BaseException:
                self._judging = None  # followed half of the way it would mislead whoever asks next
                raise
        assert self._judging is not None
        return self._judging

    def release(self) -> None:
        """Let go of all tensors but the overrides: whoever asks for one has everything computed again."""
        self._judging = None
        self.run.release()
        if self.coarse is not None:
            self.coarse.release()

    def _follow(self) -> None:
        """Walk the tape again with the pairs fixed, and collect what each line should give here."""
        base = self._base
        self._judging = Judge(
            base.plan, base.ops, self.run, self.coarse, base.partners, base.opaque, elsewhere=base
        )
        self._judging.rewire(self._patches)
        outputs = Outputs(self._judging)
        pairs: dict[int, Judged] = {id(j.version): j for j in self._base.judged}
        by_op: dict[int, list[Judged]] = {}
        for judged in pairs.values():
            by_op.setdefault(judged.version.after, []).append(judged)
        last = max(by_op, default=-1)
        for op in self.judging.ops[self.judging.plan.start : last + 1]:
            self.judging.follow(op)
            for judged in by_op.get(op.index, ()):
                self._look(judged, outputs)

    def _look(self, judged: Judged, outputs: Outputs) -> None:
        if judged.of is None:
            return
        version = judged.version
        found = self.run.captured.get(id(version))
        if found is None or not differentiable(found) or not is_finite(found):
            return
        faults = self.judging.influence(version)
        gradients = self.judging.expectation(faults)[0]
        expected = self._closest(judged, found, gradients)
        if expected is None or expected.numel() != found.numel() or not is_finite(expected):
            return
        noise = max(self.judging.noise(version), self.judging.noise_of(judged.of))
        size = max(norm(found), norm(expected))
        tolerance = self.judging.tolerance(version, size, noise)
        if judged.rounded_data:
            tolerance = max(tolerance, LARGEST * size)
        error = distance(found, expected)
        # Ten times the tolerance: at a probe point a fault that matters is far above it.
        wrong = error > 10 * tolerance
        if wrong and faults and self._is_inherited(judged, outputs, 10 * tolerance):
            self.judging.add_fault(Fault(judged, found if found.shape == expected.shape else None))
            return
        case = Case(self.judging, version, found, faults, outputs)
        if wrong and not has_victim(case, judged.of, self._scale(judged)):
            self.unlike.add(id(judged))
            return
        observable = norm(expected) > tolerance and norm(expected) > 1e-3 * noise
        if judged.alternatives:
            self.fitting[id(judged)] = self._fitting(judged, found, gradients, 10 * tolerance)
        self._outcomes[id(judged)] = (wrong, error / size if size else 0.0, observable and not wrong)
        if wrong or judged.rounded_data:
            self.judging.add_fault(Fault(judged, found if found.shape == expected.shape else None))

    def _fitting(
        self, judged: Judged, found: torch.Tensor, gradients: dict[Value, torch.Tensor], tolerance: float
    ) -> set[Value]:
        scale = self._scale(judged) or 1.0
        options = ((v, gradients.get(v)) for v in (judged.of, *judged.alternatives) if v is not None)
        return {
            v
            for v, g in options
            if g is not None and g.numel() == found.numel() and distance(found, scale * g) <= tolerance
        }

    def _is_inherited(self, judged: Judged, outputs: Outputs, tolerance: float) -> bool:
        """Whether it is right here with the true gradients upstream."""
        healed = outputs.with_true_upstream(judged.version)
        if healed is None:
            return False
        truth = self._closest(judged, healed, self.run.graph.truth)
        return truth is not None and distance(healed, truth) <= tolerance

    def _closest(
        self, judged: Judged, found: torch.Tensor, gradients: dict[Value, torch.Tensor]
    ) -> torch.Tensor | None:
        """The gradient at its partner; where several values had the same gradient at the recorded point (all
        samples at zero weights), the one that still fits is the one meant."""
        assert judged.of is not None
        scale = self._scale(judged) or 1.0
        options = [gradients.get(v) for v in (judged.of, *judged.alternatives)]
        fitting = [g for g in options if g is not None and g.numel() == found.numel()]
        fitting = fitting if scale == 1.0 else [scale * g for g in fitting]
        if not fitting:
            return None
        return min(fitting, key=lambda g: distance(found, g))

    def _scale(self, judged: Judged) -> float | None:
        """What multiple of the gradient it is kept as: 32 times, for 32 samples."""
        return judged.scale if self._variation is None else self._variation.number(judged.scale)

    def is_true(self, judged: Judged) -> bool:
        """Whether it is the true gradient here, whatever its upstream gradients are."""
        found = self.run.captured.get(id(judged.version))
        truth = (
            self._closest(judged, found, self.run.graph.truth) if found is not None and judged.of else None
        )
        if found is None or truth is None:
            return False
        noise = (
            max(self.judging.noise(judged.version), self.judging.noise_of(judged.of)) if judged.of else 0.0
        )
        size = max(norm(found), norm(truth))
        return distance(found, truth) <= 10 * self.judging.tolerance(judged.version, size, noise)

    def judge(self, judged: Judged) -> tuple[bool, float, bool] | None:
        """(wrong, relative local error, seen to be right), or None where nothing was compared."""
        return self._outcomes.get(id(judged))
