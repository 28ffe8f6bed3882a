"""The trained parameters of a step, and which of them a tensor is that is met after the training.

A parameter that is changed in place stays the same tensor. One that is replaced (`W = W - lr * dW`) has a successor,
which is the same parameter; so are a copy of it and a view.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from gradcheck.fronts.tape import Kind, Value
from gradcheck.health.context import PassContext
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.step.parameters import find_parameters
from gradcheck.judge.step.trails import Flow
from gradcheck.replay.engine import Replay, ReplayError

_SAME = {"clone", "detach", "data", "contiguous", "requires_grad_", "float", "double", "to", "cpu", "type"}
# How far a parameter is moved from what it was, as shares of its spread and of the size of a constant one: ones and
# zeros would hide that a scale or a shift is left out.
_SPREAD_SHARE = 0.2
_OF_CONSTANT = 0.3


@dataclass(frozen=True, eq=False)
class Trained:
    """One trained parameter; `readings` are the values through which the forward pass of the step reads it."""

    root: Value
    name: str
    readings: list[Value] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Trained({self.name})"


class TrainedParameters:
    def __init__(self, context: PassContext) -> None:
        plan, names = context.judged.plan, context.judgement.names
        self._by_value: dict[Value, tuple[Trained, Value]] = {}  # and the reading that it stands for
        self._by_name: dict[tuple[str, int], tuple[Trained, Value]] = {}
        self._names = names
        self._loss_at = plan.loss_op.index
        self._own: set[Value] = set()
        self.all: list[Trained] = []
        made = {value for op in plan.forward_ops for value in op.outputs if value.producer is op}
        read = list(dict.fromkeys(v for op in plan.forward_ops for v in op.inputs if v not in made))
        start = context.judge.run.start_tensors()
        recorded = Replay(torch.float64, start_from=start)
        self._tensors: dict[Value, torch.Tensor] = {}
        found = find_parameters(context.judge, Flow(context.judge), names)
        shown = _distinct_names([p.value for p in found], names)
        for parameter in found:
            value = parameter.value
            if not parameter.moves or value in made:
                continue
            readings = [v for v in read if v.root is value.root] or [value]
            trained = Trained(value.root, shown[value], readings)
            self.all.append(trained)
            for reading in readings:
                self._by_value[reading] = (trained, reading)
                try:
                    self._tensors[reading] = recorded.tensor(reading).detach()
                except ReplayError:
                    continue
            if len(readings) == 1:
                self._move(readings[0], len(self.all))
                self._by_value[value.root] = (trained, readings[0])
                for binding in names.bindings(value):
                    if not binding.alias:
                        self._by_name[binding.variable, binding.owner] = (trained, readings[0])
            if parameter.rebound is not None and isinstance(parameter.rebound.out, Value):
                self._by_value[parameter.rebound.out] = (trained, readings[0])

    def _move(self, reading: Value, seed: int) -> None:
        tensor = self._tensors.get(reading)
        if tensor is None or not tensor.is_floating_point() or not tensor.numel():
            return
        mean = float(tensor.mean())
        spread = float((tensor - mean).square().mean()) ** 0.5
        constant = spread <= 1e-12 + 1e-6 * abs(mean)
        size = _OF_CONSTANT * (abs(mean) or 0.3) if constant else _SPREAD_SHARE * spread
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        self._tensors[reading] = tensor + size * noise.to(tensor.dtype)

    @property
    def tensors(self) -> dict[Value, torch.Tensor]:
        """Moved parameters, by the values through which the training reads them."""
        return self._tensors

    def of(self, value: Value) -> Trained | None:
        """The parameter that `value` is, or is a view or a copy of."""
        found = self._stands_for(value)
        return found[0] if found is not None else None

    def tensor(self, value: Value) -> torch.Tensor | None:
        """The moved parameter as `value` would hold it; None if that cannot be told."""
        found = self._stands_for(value)
        if found is None:
            return None
        tensor = self._tensors.get(found[1])
        return tensor if tensor is not None and tuple(tensor.shape) == tuple(value.shape) else None

    def _stands_for(self, value: Value, depth: int = 8) -> tuple[Trained, Value] | None:
        earlier = value.earlier or value
        found = self._by_value.get(earlier)
        if found is not None or depth == 0:
            return found
        producer = earlier.producer
        if producer is not None and producer.kind is Kind.PURE and producer.name in _SAME and producer.args:
            source = producer.args[0]
            return self._stands_for(source, depth - 1) if isinstance(source, Value) else None
        if producer is not None and producer.index > self._loss_at:
            return self._renamed(earlier)
        root = self._by_value.get(earlier.root)
        if root is not None and tuple(root[1].shape) == tuple(earlier.shape) and producer is None:
            return root
        return None

    def _renamed(self, value: Value) -> tuple[Trained, Value] | None:
        """A later value of the very variable that held the parameter."""
        for binding in self._names.bindings(value):
            found = self._by_name.get((binding.variable, binding.owner))
            if found is not None and not binding.alias and tuple(found[1].shape) == tuple(value.shape):
                return found
        return None


def _distinct_names(values: Sequence[Value], names: NameIndex) -> dict[Value, str]:
    """What to call each: `layers[2].gamma`, where `self.gamma` is the name of several."""
    counts = Counter(name for value in values for name in set(names.forward_names(value)))
    return {
        value: next((n for n in names.forward_names(value) if counts[n] == 1), names.shown(value))
        for value in values
    }
