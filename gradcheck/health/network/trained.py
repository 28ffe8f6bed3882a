"""The trained parameters of a step, and which of them a tensor is that is met after the training.

A parameter that is changed in place stays the same tensor. One that is replaced (`W = W - lr * dW`) has a successor,
which is the same parameter; so are a copy of it and a view.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.namespace import tensors_of_namespace
from gradcheck.fronts.numpy.memory import tensor_of
from gradcheck.fronts.tape import Kind, Recording, Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.step.parameters import Parameter
from gradcheck.ops import Family
from gradcheck.replay.passes import PassPlan
from gradcheck.replay.probes import moved
from gradcheck.replay.runner import Runner, attempted
from gradcheck.replay.slices import produced, read_from_outside, roots_mutated

_MOST_COPIES = 8


def parameter_roots(plan: PassPlan, judge: Judge, differentiated: Collection[Value]) -> set[Value]:
    """The storages of what is trained, and no data: what autograd watches, an update moves, or has a manual gradient,
    and is not computed from another such."""
    trained = {update.parameter.root for update in plan.updates}
    for judged in judge.judged:
        named = judged.candidate.of is not None or parse(judged.candidate.name).form is not Form.NONE
        if judged.of is not None and judged.of in differentiated and named:
            trained.add(judged.of.root)
    for op in plan.forward_ops:
        trained.update(value.root for value in op.inputs if value.differentiated)
    marks = {root: frozenset((root,)) for root in trained}
    carried = flow.taint(plan.forward_ops, marks, key=flow.storage)
    return {root for root in trained if carried[root] == marks[root]}


@dataclass(frozen=True, eq=False)
class Trained:
    """One trained parameter."""

    root: Value
    name: str

    def __repr__(self) -> str:
        return f"Trained({self.name})"


class TrainedParameters:
    """`tensors` are the parameters, moved, by the values through which the training reads them."""

    def __init__(
        self,
        plan: PassPlan,
        parameters: Sequence[Parameter],
        start: Mapping[Value, torch.Tensor],
        names: NameIndex,
    ) -> None:
        self._by_value: dict[Value, tuple[Trained, Value]] = {}  # and the reading that it stands for
        self._by_name: dict[tuple[str, int], tuple[Trained, Value]] = {}
        self._names = names
        self._loss_at = plan.loss_op.index
        self.all: list[Trained] = []
        self.tensors: dict[Value, torch.Tensor] = {}
        made, read = produced(plan.forward_ops), read_from_outside(plan.forward_ops)
        recorded = Runner(torch.float64, start_from=dict(start))
        shown = _distinct_names([p.value for p in parameters], names)
        for parameter in parameters:
            value = parameter.value
            if not parameter.moves or value in made:
                continue
            readings = [v for v in read if v.root is value.root] or [value]
            trained, first = Trained(value.root, shown[value]), readings[0]
            self.all.append(trained)
            for reading in readings:
                self._by_value[reading] = (trained, reading)
                tensor = attempted(recorded.tensor, reading)
                if tensor is not None:
                    self.tensors[reading] = tensor.detach()
            if len(readings) == 1:
                if first in self.tensors:
                    generator = torch.Generator().manual_seed(len(self.all))
                    self.tensors[first] = moved(self.tensors[first], generator)
                self._by_value[value.root] = (trained, first)
                for binding in names.bindings(value):
                    if not binding.alias:
                        self._by_name[binding.variable, binding.owner] = (trained, first)
            if parameter.rebound is not None and isinstance(parameter.rebound.out, Value):
                self._by_value[parameter.rebound.out] = (trained, first)

    def of(self, value: Value) -> Trained | None:
        """The parameter that `value` is, or is a view or a copy of."""
        found = self._stands_for(value)
        return found[0] if found is not None else None

    def among(self, values: Collection[Value]) -> set[Trained]:
        return {trained for trained in map(self.of, values) if trained is not None}

    def tensor(self, value: Value) -> torch.Tensor | None:
        """The moved parameter as `value` would hold it; None if it is not known."""
        found = self._stands_for(value)
        tensor = None if found is None else self.tensors.get(found[1])
        return tensor if tensor is not None and tuple(tensor.shape) == tuple(value.shape) else None

    def _stands_for(self, value: Value) -> tuple[Trained, Value] | None:
        for _ in range(_MOST_COPIES + 1):
            value = value.earlier or value
            found = self._by_value.get(value)
            if found is not None:
                return found
            op = value.producer
            if op is None:
                root = self._by_value.get(value.root)
                return root if root is not None and tuple(root[1].shape) == tuple(value.shape) else None
            is_copy = op.kind is Kind.PURE and op.operation.family is Family.SAME
            if not is_copy or not op.args or not isinstance(op.args[0], Value):
                return self._renamed(value) if op.index > self._loss_at else None
            value = op.args[0]
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


def parameters_after(whole: Recording, plan: PassPlan) -> tuple[dict[Value, torch.Tensor], bool]:
    """By the values that the forward pass reads; and whether what became of every parameter that the step moved is
    known."""
    held = _held_afterwards(whole)
    successors = {update.parameter.root: update for update in plan.updates}
    found: dict[Value, torch.Tensor] = {}
    all_known = True
    for value in {v for op in plan.forward_ops for v in op.inputs}:
        update = successors.get(value.root)
        if update is None or (value.producer is not None and value.producer.index >= plan.start):
            continue
        after = value if update.in_place else update.op.out
        tensor = held.get(after) if isinstance(after, Value) else None
        if tensor is not None and tensor.shape == value.shape:
            found[value] = tensor
        else:
            all_known = False
    return found, all_known


def _held_afterwards(whole: Recording) -> dict[Value, torch.Tensor]:
    """What the tensors of the step held when the step was over."""
    apart = whole.aftermath_cut is not None
    value_of = whole.earlier_value_of if apart else whole.value_of
    changed = roots_mutated(whole.aftermath_ops)
    held: dict[Value, torch.Tensor] = {}
    for _, array, _ in tensors_of_namespace(whole.final_namespace):
        value = value_of(array)
        tensor = tensor_of(array) if value is not None and (apart or value.root not in changed) else None
        if value is not None and tensor is not None:
            held[value] = tensor.detach()
    # As the program first used it after the step is more certain than as it was in the end.
    for op in whole.aftermath_ops:
        for value in op.inputs:
            if value.earlier is not None and value.data is not None:
                held[value.earlier] = value.data
    return held
