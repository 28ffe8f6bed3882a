"""What a program computes under `torch.no_grad()` for a loss that has a gradient is a constant to it, as to autograd: a
target network's values, a scale taken from the statistics of the batch."""

from collections.abc import Sequence

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.flow import ancestors, backward
from gradcheck.replay.compare import differentiable


def stopped(ops: Sequence[Op], loss: Value) -> set[Value]:
    """The values through which no gradient goes on. Where nothing asks for gradients, a function that is decorated may be a
    layer like any other: only what stands aside in the function that goes on with it counts. So does only what is computed
    of something that the loss depends on in another way too."""
    if loss.producer is None or not loss.producer.grad_enabled:
        return set()
    asking = {op.scope for op in ops if op.grad_enabled}

    def is_aside(value: Value) -> bool:
        made = value.producer
        if made is None or made.grad_enabled or value.requires_grad:
            return False
        return loss.requires_grad or made.scope in asking

    read = {v for op in ops if op.grad_enabled for v in op.inputs if is_aside(v)}
    others = backward(ops, [loss], into=lambda value: value not in read) if read else set()
    others = {v for v in others if v.data is not None and differentiable(v.data)}
    return {value for value in read if not others.isdisjoint(ancestors(value))}
