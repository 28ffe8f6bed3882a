"""A point at which a judged pass is replayed again: the pairs stay as they were found, the numbers are new."""

import math
from collections.abc import Mapping
from functools import partial
from itertools import islice

import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.case import Case
from gradcheck.judge.data_rounding import LARGEST
from gradcheck.judge.intervention import has_victim
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Fault, Judged
from gradcheck.judge.outputs import Outputs
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.compare import compared, differentiable, distance, is_finite, norm
from gradcheck.replay.probes import Jittered
from gradcheck.replay.rounding import Rounding
from gradcheck.replay.run import PassOps, PassRun
from gradcheck.replay.runner import Patch, ReplayError
from gradcheck.replay.variation import Variation

_PLAIN = 0.1  # relative error of a fault


class Point:
    """One probe point: the pairs found at the recorded point, compared with the truth at this one.

    With `patches`, the person's program as it would be with some of its statements changed; with a `variation`, with
    other sizes or constants.
    """

    def __init__(
        self, prepared: PassOps, judge: Judge, overrides: Mapping[Value, torch.Tensor],
        patches: Mapping[int, Patch] | None = None, measure_noise: bool = True,
        variation: Variation | None = None, sparing: bool = False,
    ) -> None:  # fmt: skip
        """A `sparing` point computes no gradients of large leaves that nobody asks for, as long as all is right."""
        self._base = judge
        self._patches = patches or {}
        self._variation = variation
        self._judging: Judge | None = None
        self.overrides = overrides
        self._outcomes: dict[int, tuple[bool, float, bool]] = {}
        self._true: set[int] = set()  # whose gradients are the true ones, by the identity of what was judged
        # No gradients of their partners here, and nothing is wrong because of that.
        self.unlike: set[int] = set()
        # Of which of several equal ones each is the gradient here too.
        self.fitting: dict[int, set[Value]] = {}
        self.usable = False
        try:
            unasked = self._unasked() if sparing else set()
            made = partial(PassRun, prepared, overrides=overrides, patches=patches, variation=variation)
            self.run = made(dtype=torch.float64, undifferentiated=unasked)
            self.coarse = made(dtype=torch.float32, at_once=False) if measure_noise else None
        except ReplayError:
            return
        can_be_measured = not measure_noise or judge.coarse is not None
        self.usable = can_be_measured and bool(torch.isfinite(self.run.graph.loss_tensor).all())
        if self.usable and not self._is_all_true():
            if unasked:
                self.run.release()
            self._follow()

    def _unasked(self) -> set[Value]:
        """Large leaves that nothing judged is the gradient of: data."""
        judged = self._base.judged
        asked = {value.root for j in judged for value in (j.of, *j.alternatives) if value is not None}
        return {v for v in self._base.prepared.large if v.root not in asked}

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
        """Let go of all tensors: whoever asks for one has everything computed again."""
        self._judging = None
        if isinstance(self.overrides, Jittered):
            self.overrides.release()
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

    def _is_all_true(self) -> bool:
        """Whether everything compared is the true gradient here, without a doubt: no rounding has to be measured for that,
        and nobody has to be asked what a wrong one does to others."""
        rounding, truth = Rounding(self.run, None, self._base.opaque), self.run.graph.truth
        asked: list[tuple[Judged, dict[Value, torch.Tensor]]] = []
        pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
        for judged in {id(j.version): j for j in self._base.judged}.values():
            found = self.run.captured.get(id(judged.version))
            if judged.of is None or found is None or not differentiable(found):
                continue
            if judged.rounded_data or not found.numel():
                return False
            if options := self._options(judged, found, truth):
                asked.append((judged, options))
                pairs += [(found, option) for option in options.values()]
        measured = iter(compared(pairs))
        outcomes = {}
        for judged, options in asked:
            near, *others = sorted(islice(measured, len(options)))
            size = max(near[1:])
            tolerance = rounding.tolerance(judged.version, size, 0.0)
            if not (all(each[0] <= 10 * tolerance for each in (near, *others)) and math.isfinite(size)):
                return False
            if judged.verdict is Verdict.UNOBSERVABLE and near[2] > tolerance:
                return False  # whether it can be told from rounding here
            outcomes[id(judged)] = False, near[0] / size if size else 0.0, False
        self._outcomes, self._true = outcomes, set(outcomes)
        self.fitting = {id(judged): set(options) for judged, options in asked if judged.alternatives}
        return True

    def _look(self, judged: Judged, outputs: Outputs) -> None:
        if judged.of is None:
            return
        version = judged.version
        found = self.run.captured.get(id(version))
        if found is None or not differentiable(found) or not is_finite(found):
            return
        if judged.surrogate:  # what is computed from it is compared with what follows from it, here too
            self.judging.add_fault(Fault(judged, found))
            return
        faults = self.judging.influence(version)
        options = self._options(judged, found, self.judging.expectation(faults)[0])
        measured = dict(zip(options, compared([(found, g) for g in options.values()]), strict=True))
        if not options:
            return
        near = min(measured, key=lambda value: measured[value][0])
        (error, *sizes), expected = measured[near], options[near]
        if not (math.isfinite(sizes[1]) or is_finite(expected)):
            return
        size, noise = max(sizes), 0.0
        tolerance = self.judging.tolerance(version, size, noise)
        in_doubt = any(not apart <= 10 * tolerance for apart, *_ in measured.values())
        # A fault that is as large as this is no rounding, and whom it harms is known.
        known = judged.verdict is Verdict.INTRODUCED and error > _PLAIN * size
        if (in_doubt and not known) or judged.verdict is Verdict.UNOBSERVABLE:
            noise = max(self.judging.noise(version), self.judging.noise_of(judged.of))
            tolerance = self.judging.tolerance(version, size, noise)
        if judged.rounded_data:
            tolerance = max(tolerance, LARGEST * size)
        # Ten times the tolerance: at a probe point a fault that matters is far above it.
        wrong = error > 10 * tolerance
        if wrong and faults and self._is_inherited(judged, outputs, 10 * tolerance):
            self.judging.add_fault(Fault(judged, found if found.shape == expected.shape else None))
            return
        case = Case(self.judging, version, found, faults, outputs)
        if (
            wrong
            and not known
            and (self._stays(judged, found) or not has_victim(case, judged.of, self._scale(judged)))
        ):
            self.unlike.add(id(judged))
            return
        observable = sizes[1] > max(tolerance, 1e-3 * noise)
        if judged.alternatives:
            self.fitting[id(judged)] = {v for v, each in measured.items() if each[0] <= 10 * tolerance}
        self._outcomes[id(judged)] = (wrong, error / size if size else 0.0, observable and not wrong)
        if wrong or judged.rounded_data:
            self.judging.add_fault(Fault(judged, found if found.shape == expected.shape else None))

    def _stays(self, judged: Judged, found: torch.Tensor) -> bool:
        """Whether nothing but its numbers pairs it, and it does not move with this pass: it is of another one, which has
        drawn the same numbers."""
        before = self._base.captured(judged.version)
        return judged.evidence == "its numbers" and before is not None and torch.equal(found, before)

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
        options = self._options(judged, found, gradients).values()
        return min(options, key=lambda g: distance(found, g), default=None)

    def _options(
        self, judged: Judged, found: torch.Tensor, gradients: Mapping[Value, torch.Tensor]
    ) -> dict[Value, torch.Tensor]:
        """What it may be here: the gradients of its partner, and of those that had the same at the recorded point."""
        scale = self._scale(judged) or 1.0
        fitting: dict[Value, torch.Tensor] = {}
        for value in (judged.of, *judged.alternatives):
            gradient = gradients.get(value) if value is not None else None
            if value is not None and gradient is not None and gradient.numel() == found.numel():
                fitting[value] = gradient if scale == 1.0 else scale * gradient
        return fitting

    def _scale(self, judged: Judged) -> float | None:
        """What multiple of the gradient it is kept as: 32 times, for 32 samples."""
        return judged.scale if self._variation is None else self._variation.number(judged.scale)

    def is_true(self, judged: Judged) -> bool:
        """Whether it is the true gradient here, whatever its upstream gradients are."""
        if id(judged) in self._true:
            return True
        found = self.run.captured.get(id(judged.version))
        if found is None or judged.of is None:
            return False
        truth = self._closest(judged, found, self.run.graph.truth)
        if truth is None:
            return False
        apart, size = distance(found, truth), max(norm(found), norm(truth))
        if apart <= 10 * self.judging.tolerance(judged.version, size, 0.0):
            return True
        noise = max(self.judging.noise(judged.version), self.judging.noise_of(judged.of))
        return apart <= 10 * self.judging.tolerance(judged.version, size, noise)

    def judge(self, judged: Judged) -> tuple[bool, float, bool] | None:
        """(wrong, relative local error, seen to be right), or None where nothing was compared."""
        return self._outcomes.get(id(judged))
