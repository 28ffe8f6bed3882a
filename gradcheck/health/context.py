"""What a family may look at: one recorded step as it was judged, the whole program, and what it computes after its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch

from gradcheck.base.thresholds import Thresholds
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.graph.match.batch_norm import BatchNorm
from gradcheck.graph.match.normalisation import batch_norms
from gradcheck.health.network.probing import Stretch, fed
from gradcheck.health.network.trained import TrainedParameters, parameter_roots
from gradcheck.judge.judge import Judge
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.step.parameters import Parameter, find_parameters
from gradcheck.judge.step.trails import Flow
from gradcheck.replay.runner import ReplayError
from gradcheck.replay.slices import Slicer, roots_mutated

_MOST_OPS = 50


class Aftermath:
    """`begin` is its first op; None if the recording does not get there."""

    def __init__(self, whole: Recording, places: Places) -> None:
        self.whole = whole
        self.begin = whole.aftermath
        self.ops = whole.aftermath_ops
        self.names = NameIndex(whole, places)
        self._mutated = roots_mutated(self.ops)

    @cached_property
    def slicer(self) -> Slicer:
        return Slicer(self.whole.ops)

    def tensor(self, value: Value) -> torch.Tensor:
        """What it held. Raises ReplayError where nothing is left that it could be computed from."""
        held = self._held(value)
        found = self._from_what_is_held(value) if held is None else held
        if found is None:
            raise ReplayError("what it was computed from is not there any more")
        return found

    def _held(self, value: Value) -> torch.Tensor | None:
        """What the tape or the program still has of it."""
        if value.data is not None:
            return value.data
        held = value.reference() if value.reference is not None and value.root not in self._mutated else None
        return held.detach() if held is not None else None

    def _from_what_is_held(self, value: Value) -> torch.Tensor | None:
        """Computed by its last ops from tensors that there still are."""
        ops: dict[int, Op] = {}
        known: dict[Value, torch.Tensor] = {}
        pending = [value]
        while pending:
            wanted = pending.pop()
            held = self._held(wanted)
            if held is not None:
                known[wanted] = held.double() if held.is_floating_point() else held
                continue
            op = wanted.producer
            if op is None or wanted.root in self._mutated or len(ops) == _MOST_OPS:
                return None
            if op.index not in ops:
                ops[op.index] = op
                pending.extend(op.inputs)
        replay = fed([ops[index] for index in sorted(ops)], known)
        return None if value in replay.broken else replay.tensor(value)


@dataclass(frozen=True)
class ProgramContext:
    """The whole program. `passes` are the steps whose health is measured, in the order they ran."""

    judgement: Judgement
    passes: list[PassContext]
    thresholds: Thresholds
    samples: str | None = None  # the name that holds generated sequences (`--samples`)

    @property
    def recording(self) -> Recording:
        return self.judgement.recording

    @cached_property
    def aftermath(self) -> Aftermath:
        return Aftermath(self.judgement.whole, self.judgement.places)

    @cached_property
    def trained(self) -> TrainedParameters:
        """The parameters of the last step."""
        last = self.passes[-1]
        start = last.judge.run.start_tensors()
        return TrainedParameters(last.judged.plan, last.parameters, start, self.judgement.names)


@dataclass(frozen=True)
class PassContext:
    """One recorded step whose forward pass can be replayed."""

    judgement: Judgement
    judged: JudgedPass
    judge: Judge
    thresholds: Thresholds

    @property
    def index(self) -> int:
        return self.judged.result.index

    @property
    def iteration(self) -> int | None:
        return self.judged.plan.iteration

    @cached_property
    def forward(self) -> Stretch:
        """Its forward pass, with the tensors of the recorded batch in float64."""
        graph = self.judge.run.graph
        ops = self.judged.plan.forward_ops
        return Stretch(ops, graph.tensor, self.judgement.names, self.judgement.places)

    @cached_property
    def mutated(self) -> set[Value]:
        """The storages that its forward pass changes in place."""
        return roots_mutated(self.forward.ops)

    @cached_property
    def parameters(self) -> list[Parameter]:
        return find_parameters(self.judge, Flow(self.judge))

    @cached_property
    def parameter_roots(self) -> set[Value]:
        return parameter_roots(self.judged.plan, self.judge, self.truth.keys())

    def is_parameter(self, value: Value) -> bool:
        return value.root in self.parameter_roots

    @cached_property
    def batch_norms(self) -> list[BatchNorm]:
        return batch_norms(self.forward.ops, self.is_parameter)

    @property
    def truth(self) -> Mapping[Value, torch.Tensor]:
        """dL/dx of every forward value on the recorded batch, in float64."""
        return self.judge.run.graph.truth

    @cached_property
    def dtype(self) -> torch.dtype:
        """The floating dtype that the program computes in, as far as it is known."""
        used = {row.dtype.removeprefix("torch.") for row in self.judged.result.gradients if row.dtype}
        return torch.float64 if used == {"float64"} else torch.float32
