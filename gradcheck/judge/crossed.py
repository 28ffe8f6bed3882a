"""`(n, 1)` and `(n,)` in one operation give `(n, n)`: each prediction is compared with the target of each row, and the
gradients that are right for the loss that was meant are wrong for that one."""

from collections.abc import Iterator
from math import prod

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Value
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.passes import PassPlan


def crossed(plan: PassPlan, names: NameIndex, places: Places) -> Iterator[str]:
    """What to say of the first place where the loss is made so."""
    for op in plan.forward_ops:
        shapes = [[n for n in value.shape if n != 1] for value in op.inputs]
        alike = len(shapes) == 2 and shapes[0] == shapes[1] and isinstance(op.out, Value)
        if alike and prod(op.out.shape) > prod(shapes[0]) > 1:
            first, second = (f"`{names.shown(value)}` {tuple(value.shape)}" for value in op.inputs)
            yield (
                f"line {places.location(op).line} combines each of {first} with each of {second}, to {tuple(op.out.shape)}: if "
                "element by element is meant, reshape one of them there, and not the gradients"
            )
            return
