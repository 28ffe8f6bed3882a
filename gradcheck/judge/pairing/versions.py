"""The stages of a gradient that is built over several statements: one version after each line that wrote to it."""

import sys

from gradcheck import ops
from gradcheck.fronts.tape import Op
from gradcheck.judge.pairing.clipping import clips
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.passes import Candidate, PassPlan, Version

_MOST = 8


def versions_of(
    candidate: Candidate,
    plan: PassPlan,
    mutations: list[Op],
    used_at: int,
    in_forward: bool,
    names: NameIndex,
) -> list[Version]:
    """`mutations` are the ops that change its storage, `used_at` is where it moves a parameter.
    `in_forward`: it is a value of the forward pass that turns into a gradient."""
    value = candidate.value
    first = candidate.binding.when if candidate.binding is not None else 0
    writes: list[Op] = []
    if value.producer is not None and not in_forward:
        writes.append(value.producer)
    made = value.producer.index if value.producer is not None else value.birth - 1
    begin = max(made + 1, first) if in_forward else made + 1
    # What is made when the iteration is over belongs to the last one, with all that is done to it.
    stop = min(used_at, plan.stop) if made < plan.stop else sys.maxsize
    stop = min(stop, _named_anew(candidate, plan))
    writes += [op for op in mutations if begin <= op.index < stop]
    if candidate.second_name:
        writes = [op for op in writes if op.index >= first] or writes
    # What a buffer held before this pass began was the gradient of another one, or nothing yet.
    writes = [op for op in writes if op.index >= plan.start] or writes
    while len(writes) > 1 and (_is_post_processing(writes[-1]) or clips(writes[-1], value, plan, names)):
        writes.pop()
    # A loop that fills it element by element is one write: the last of each line counts.
    last_of_line = {names.line(op): i for i, op in enumerate(writes)}
    known = first - 1 if candidate.second_name else 0  # a second name is read only once it is there
    versions = [
        Version(candidate, max(writes[i].index, known), writes[: i + 1], final=i == len(writes) - 1)
        for i in sorted(last_of_line.values())
    ]
    if not versions and (candidate.second_name or value.producer is None):
        after = first if candidate.second_name else value.birth
        versions.append(Version(candidate, max(0, after - 1), [], final=True))
    return versions[-_MOST:]


def _named_anew(candidate: Candidate, plan: PassPlan) -> int:
    """When the tensor gets the name of another gradient (`dX = dY`): what is written into it from then on is that."""
    own = candidate.binding.when if candidate.binding is not None else 0
    later = [
        other.binding.when
        for other in plan.candidates
        if other is not candidate
        and other.value is candidate.value
        and other.second_name
        and other.binding is not None
    ]
    least = own + 1 if candidate.second_name else own
    return min((when for when in later if when >= least), default=sys.maxsize)


def _is_post_processing(op: Op) -> bool:
    """Done to a finished gradient: clipping, and clearing it for the next step."""
    zeroes = op.operation is ops.FILL and not any(op.args[1:])
    return zeroes or op.operation in (ops.CLAMP, ops.NAN_TO_NUM)
