"""The hidden layers of a recorded network that can be switched off: their output is replaced by their input."""

from collections.abc import Collection
from dataclasses import dataclass

from gradcheck.fronts.tape import Op, Value
from gradcheck.health.network.activations import find_layers
from gradcheck.health.network.probing import Stretch
from gradcheck.isolation.step import TrainingStep
from gradcheck.judge.judgement import Judgement


@dataclass(frozen=True)
class HiddenLayer:
    """`output` is what its non-linearity computes, in `op`; `input` what its linear map is applied to, of the same
    shape. `number` counts the layers from the input, from 1."""

    number: int
    op: Op
    output: Value
    input: Value


def hidden_layers(
    judgement: Judgement, step: TrainingStep, true_gradients_of: Collection[Value]
) -> tuple[list[HiddenLayer], str]:
    """And why there are none. The network trains on true gradients without a layer, because the person's lines are
    for the network with it: so that every parameter must have a gradient that can be replaced."""
    judge = step.judged.judge
    if judge is None:
        return [], "the forward pass could not be replayed"
    parameters = _parameters(step)
    roots = {value.root for value in true_gradients_of}
    names = judgement.names
    without = [names.shown(value) for value in parameters if value.root not in roots]
    if without:
        listed = ", ".join(f"`{name}`" for name in dict.fromkeys(without))
        return [], f"no gradient of {listed} could be replaced by the true one"
    stretch = Stretch(step.judged.plan.forward_ops, judge.run.graph.tensor, names, judgement.places)
    hidden = [layer for layer in find_layers(stretch, parameters) if layer.hidden]
    if len(hidden) < 2:
        return [], f"the network has {'one hidden layer' if hidden else 'no hidden layer'}"
    usable = []
    for number, layer in enumerate(hidden, start=1):
        data = layer.linear.data if layer.linear is not None else None
        output = layer.first.output
        if data is None or len(layer.applied) > 1 or output.producer is not layer.first.op:
            continue
        if data.shape == output.shape and data is not output:
            usable.append(HiddenLayer(number, layer.first.op, output, data))
    return usable, "" if usable else "no hidden layer has an output of the shape of its input"


def _parameters(step: TrainingStep) -> list[Value]:
    """What training moves and the loss is computed from, without running statistics."""
    forward = step.judged.plan.forward_ops
    statistics = {value.root for op in forward for value in op.buffers}
    moved = {value.root for value in step.carried} | step.changed
    read = {value.root for op in forward for value in op.inputs}
    return [
        value
        for value, tensor in step.start.items()
        if value.root is value and value in moved & read - statistics and tensor.is_floating_point()
    ]
