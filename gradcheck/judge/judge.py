"""Pairs every manual gradient with the forward value it belongs to, and judges it.

The tape is followed once, in the order the program ran. At each gradient the question is: does it equal the
gradient of some forward value, given the person's own upstream gradients? If so, that is its partner and its line
is right. If not, the evidence of names and dataflow decides what it was meant to be, it is `introduced`, and from
there on everything computed from it is held against the VJP of *it*: faults do not cascade.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Op, Value
from gradcheck.judge.data_rounding import DataRounding
from gradcheck.judge.influence import Influence
from gradcheck.judge.judged import Fault, Faults, Judged
from gradcheck.judge.pairing.partners import Partners
from gradcheck.judge.pairing.relations import Relations
from gradcheck.judge.verdict import Verdict
from gradcheck.judge.verdicts import conventions, matches, mismatches, unchecked
from gradcheck.replay.compare import Fingerprints, differentiable, same_but_for_ones
from gradcheck.replay.engine import Patch
from gradcheck.replay.passes import PassPlan, Version
from gradcheck.replay.rounding import Rounding
from gradcheck.replay.run import PassRun

__all__ = ["Faults", "Judge", "Judged"]


@dataclass
class Judge:
    """Judges the candidates of one pass from a float64 run and a float32 run of it."""

    plan: PassPlan
    ops: list[Op]
    run: PassRun
    coarse: PassRun | None
    partners: Partners
    opaque: set[Value]
    judged: list[Judged] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    hidden: dict[int, float] = field(default_factory=dict)  # local error at the worst probe point

    def __post_init__(self) -> None:
        self.paired: dict[Value, Judged] = {}
        self.forward_made = self._forward_made()
        self.nameless = self.partners.nameless_origins()
        self.rounding = Rounding(self.run, self.coarse, self.opaque)
        self.data_rounding = DataRounding(self)
        self.influences = Influence(self.plan, self.forward_made)
        self.relations = Relations(self.plan, self.ops, self.partners.names)
        self.ascends = conventions.ascends(self.plan)
        self._mended: dict[Faults, dict[int, torch.Tensor]] = {}
        self._expectations: dict[Faults, tuple[dict[Value, torch.Tensor], Fingerprints]] = {}

    def _forward_made(self) -> set[Value]:
        """Forward values computed from others that can have a gradient: everything but parameters and inputs."""
        truth = self.run.graph.truth
        return {
            value
            for op in self.plan.forward_ops
            for value in op.outputs
            if value.producer is op and any(v in truth for v in op.inputs)
        }

    # -- the walk ------------------------------------------------------------------------------------------------

    def judge_all(self) -> list[Judged]:
        by_op: dict[int, list[Version]] = {}
        for candidate in self.plan.candidates:
            for version in candidate.versions:
                by_op.setdefault(version.after, []).append(version)
        last = max(by_op, default=-1)
        for op in self.ops[self.plan.start : last + 1]:
            self.follow(op)
            for version in by_op.get(op.index, ()):
                self._judge(version)
        self.judged = [judged for judged in self.judged if not self._on_the_way(judged)]
        return self.judged

    def rewire(self, patches: Mapping[int, Patch]) -> None:
        """Follow a program in which some statements are changed: a patched one is computed from what the patch reads,
        not from what is on the tape."""
        self.influences.rewire(patches)

    def follow(self, op: Op) -> None:
        self.influences.follow(op)

    def _judge(self, version: Version) -> None:
        candidate = version.candidate
        broken = self.run.broken.get(id(version))
        if broken is not None:
            unchecked.unreplayable(self, version, broken)
            return
        found = self.captured(version)
        if found is None or found.numel() == 0 or candidate.value in self.influences.autograd:
            return
        unmarked = candidate.of is None and parse(candidate.name).form is Form.NONE
        if unmarked and candidate.value.root not in self.influences.live:
            return  # data, not computed from the network
        faults = self.influence(version)
        if not bool(torch.isfinite(found).all()):
            unchecked.not_finite(self, version, found, faults)
            return
        noise = self.noise(version)
        if not (
            matches.match(self, version, found, faults, noise)
            or matches.match_once_mended(self, version, found, faults, noise)
        ):
            mismatches.mismatch(self, version, found, faults, noise)

    def _on_the_way(self, judged: Judged) -> bool:
        """Whether a right value is only a stage of the gradient its name stands for: what is built over several
        lines is one gradient, and its last value counts."""
        if judged.verdict not in (Verdict.CORRECT, Verdict.UNOBSERVABLE) or judged.of is None:
            return False
        later = self.relations.successor(judged.version)
        final = next((j for j in self.judged if later is not None and j.version is later), None)
        if final is None or final.of is None:
            return False
        own = self.partners.score(judged.candidate, judged.of)
        # `grad = pull(grad)`: a name as general as that passes from one gradient to the next.
        if parse(judged.candidate.name).stem is None:
            return final.of is judged.of
        return final.of is judged.of or (own < 0.5 <= self.partners.score(final.candidate, final.of))

    def accept(
        self, judged: Judged, found: torch.Tensor, expected: torch.Tensor | None, noise: float
    ) -> None:
        judged.found = found
        judged.expected = expected
        judged.noise = noise
        if judged.of is not None:
            judged.truth = self.run.graph.truth.get(judged.of)
            if judged.verdict is not Verdict.INTRODUCED:
                judged.meant = self.partners.meant_instead(judged.candidate, judged.of, found)
            self.paired[judged.of] = judged
            judged.noise = max(noise, self.noise_of(judged.of))
        self.influences.graded.add(judged.candidate.value.root)
        self.judged.append(judged)

    def captured(self, version: Version) -> torch.Tensor | None:
        """What the program computed there, replayed in float64; None if that is no tensor of floats."""
        found = self.run.captured.get(id(version))
        return found if found is not None and differentiable(found) else None

    # -- faults and what is to be expected after them ------------------------------------------------------------

    def add_fault(self, judged: Judged, at: Value | None, seed: torch.Tensor | None) -> None:
        self.faults.append(Fault(judged, at, seed))
        self.influences.add(judged.candidate.value, len(self.faults) - 1)

    def influence(self, version: Version) -> Faults:
        """The faults that what this gradient was computed from carries."""
        return self.influences.of(version.candidate.value)

    def influence_of(self, root: Value) -> Faults:
        """The faults that the storage `root` carries, as far as the tape has been followed."""
        return self.influences.of(root)

    def without_rounding(self, faults: Faults) -> Faults:
        """The faults that are some: not those that are only the rounding of the data, or meant as they are."""
        judged = {i: self.faults[i].judged for i in faults}
        return frozenset(i for i in faults if not (judged[i].rests_on_data or judged[i].surrogate))

    def poisoned(self, faults: Faults) -> bool:
        return any(self.faults[i].gradient is None for i in faults)

    def expectation(self, faults: Faults) -> tuple[dict[Value, torch.Tensor], Fingerprints]:
        """The gradient of every forward value, given the wrong gradients of `faults`."""
        found = self._expectations.get(faults)
        if found is None:
            gradients = self.given(faults, {})
            comparable = {v: g for v, g in gradients.items() if v not in self.nameless}
            found = self._expectations[faults] = (gradients, Fingerprints(comparable))
        return found

    def given(self, faults: Faults, more: dict[Value, torch.Tensor]) -> dict[Value, torch.Tensor]:
        """The same, given other gradients too."""
        replaced = self._replaced(faults)
        replaced.update(
            (at, gradient)
            for at, gradient in more.items()
            if gradient.numel() == self.run.graph.tensor(at).numel()
        )
        return self.run.graph.gradients(replaced) if replaced else self.run.graph.truth

    def ways_back(self, value: Value, faults: Faults) -> list[torch.Tensor]:
        """The gradient of `value`, apart by the operations that read it."""
        return self.run.graph.ways_back(value, self._replaced(faults))

    def _replaced(self, faults: Faults) -> dict[Value, torch.Tensor]:
        found = {}
        for index in sorted(faults):
            fault = self.faults[index]
            if fault.at is not None and fault.gradient is not None:
                found[fault.at] = fault.gradient
        return found

    def mended(self, version: Version, faults: Faults) -> torch.Tensor | None:
        """What this gradient would have been, had the wrong ones it was computed from been the true ones."""
        known = self._mended.get(faults)
        if known is None:
            replaced = {}
            for index in sorted(faults):
                judged = self.faults[index].judged
                if judged.truth is not None and judged.found is not None:
                    replaced[id(judged.version)] = _in_shape_of(judged.found, judged.truth)
            known = self._mended[faults] = self.run.mended(replaced)
        found = known.get(id(version))
        return found if found is not None and differentiable(found) else None

    # -- rounding ------------------------------------------------------------------------------------------------

    def noise_of(self, value: Value) -> float:
        return self.rounding.noise_of(value)

    def noise(self, version: Version) -> float:
        return self.rounding.noise(version)

    def tolerance(self, version: Version, size: float, noise: float) -> float:
        return self.rounding.tolerance(version, size, noise)

    @property
    def rounding_floor(self) -> float:
        return self.rounding.floor


def _in_shape_of(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return truth.reshape(found.shape) if same_but_for_ones(found.shape, truth.shape) else truth
