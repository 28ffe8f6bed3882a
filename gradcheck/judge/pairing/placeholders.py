"""Gradients that are still `None`: the exercise is not finished there."""

from types import CodeType

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Recording
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.passes import PassPlan


def placeholders(
    recording: Recording, plan: PassPlan, names: NameIndex
) -> list[tuple[str, str, CodeType, int, bool]]:
    """The names of gradients that hold None, or one and the same number, in a pass and nothing else: name, what of, the
    line that says so, and whether it is None."""
    # `dW = None` also frees what was computed in the same pass, or stands in for what it computes afterwards.
    begin = plan.loss_op.index if plan.iteration is None else plan.start
    taken = {binding.name for binding in recording.bindings if begin < binding.when <= plan.stop}
    partners: set[str] | None = None
    found = []
    for name, code, line, when, number in recording.nones:
        parsed = parse(name)
        if name in taken or parsed.form < Form.BARE_D or parsed.stem is None or name.endswith(".grad"):
            continue  # `p.grad = None` clears what autograd accumulates
        if not plan.loss_op.index < when <= plan.stop:
            continue
        if partners is None:
            partners = {known for value in plan.forward_values for known in names.forward_names(value)}
            partners |= {plain.name for plain in recording.plain if isinstance(plain.value, float)}
        if parsed.stem in partners:
            taken.add(name)
            found.append((name, parsed.stem, code, line, number is None))
    return found
