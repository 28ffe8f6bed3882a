"""The parameters as the recorded step left them: what the program calibrates, evaluates and samples with."""

from __future__ import annotations

import torch

from gradcheck.fronts.namespace import tensors_of_namespace
from gradcheck.fronts.numpy.memory import tensor_of
from gradcheck.fronts.tape import Recording, Value
from gradcheck.replay.passes import PassPlan
from gradcheck.replay.slices import roots_mutated


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
