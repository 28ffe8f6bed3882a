"""Which values on a tape are losses: by their name, by what made them, by what is done with them."""

import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gradcheck import ops
from gradcheck.fronts.gradient_names import Form, is_derivative_name, is_loss_name, parse
from gradcheck.fronts.markers import Inferred, with_given_upstream
from gradcheck.fronts.tape import Binding, Kind, Op, Recording, Value
from gradcheck.fronts.updates import Update
from gradcheck.graph import flow
from gradcheck.judge.pairing.added_up import SumOfLosses
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.stated_loss import StatedLoss
from gradcheck.judge.pairing.windows import Step
from gradcheck.ops import Family

_ENDS = 3
_SAID = 2  # from this rank on, something says that it is a loss


@dataclass(frozen=True, slots=True)
class Loss:
    value: Value
    op: Op  # that made it, or changed it last
    name: str


def find_losses(
    recording: Recording,
    names: NameIndex,
    steps: list[Step],
    wanted: str | None,
    gradients: Sequence[Binding] = (),
    moves: Collection[Update] = (),
) -> list[Loss]:
    """The losses that may have been differentiated by hand, in program order; only `wanted`, if it is given.
    `gradients` are what the person has said is one."""
    known = recording.loss
    if known is not None and known.producer is not None and wanted is None:
        written = (op for op in reversed(recording.ops) if any(v.root is known.root for v in op.mutated))
        return [Loss(known, next(written, known.producer), names.loss_name(known) or "loss")]
    found = _differentiated(recording, _select_losses(recording, names, wanted, moves), steps, gradients)
    return _without_middles(found, steps)


def _without_middles(losses: list[Loss], steps: list[Step]) -> list[Loss]:
    """Of a sum that grows term by term, the first ones and the last: parts of it that the gradients may be of."""
    chains: list[list[Loss]] = []
    for loss in losses:
        last = chains[-1][-1] if chains else None
        apart = last is None or any(last.op.index < step.begin <= loss.op.index for step in steps)
        if last is None or apart or last.value not in loss.op.inputs:
            chains.append([])
        chains[-1].append(loss)
    return [loss for chain in chains for loss in (*chain[:_ENDS], *chain[_ENDS:][-2:])]


def _differentiated(
    recording: Recording, losses: list[Loss], steps: list[Step], gradients: Sequence[Binding]
) -> list[Loss]:
    """The losses near which something is computed that may be a gradient: not those of evaluation loops."""
    places = [loss.op.index for loss in losses]
    kept: set[int] = set()
    moments = [b.when for b in recording.bindings if parse(b.name).form is not Form.NONE]
    moments += [b.when for b in gradients]
    named = {value.root for value in recording.gradient_named}
    moments += [op.index + 1 for op in recording.ops if any(v.root in named for v in op.mutated)]
    moments += [op.index for op in recording.ops if op.kind in (Kind.GRAD_WRITE, Kind.RETURNED)]
    moments += [step.begin + 1 for step in steps]
    paired = [pairing.gradient.producer for pairing in recording.pairings]
    moments += [op.index + 1 for op in paired if op is not None]
    for when in moments:
        position = bisect_left(places, when)
        kept.update(i for i in (position - 1, position) if 0 <= i < len(losses))
    for step in steps:
        kept.update(range(bisect_left(places, step.begin), bisect_left(places, step.end)))
    return [loss for i, loss in enumerate(losses) if i in kept]


def says_which(recording: Recording, names: NameIndex) -> bool:
    """Whether something says of a number that it is the loss: its name, what made it, `backward()`."""
    return any(rank >= _SAID for rank, _ in _ranked(recording, names, None).values())


def _select_losses(
    recording: Recording, names: NameIndex, wanted: str | None, moves: Collection[Update]
) -> list[Loss]:
    ranked = _ranked(recording, names, wanted)
    if not ranked:
        return []
    # Where real losses exist, other scalars (accuracies, means) are not mistaken for one.
    best = max(rank for rank, _ in ranked.values())
    floor = _SAID if best >= _SAID else best
    chosen = [loss for rank, loss in ranked.values() if rank >= floor]
    if best >= _SAID:
        return chosen
    # Nor is what the parameters are moved by computed from the loss: from an output, a `delta` of one number. What is moved
    # is none either.
    moved_by, moving = [u.step for u in moves if u.step is not None], {u.op for u in moves}
    behind = flow.backward(recording.ops, moved_by, key=flow.storage) if moved_by else set()
    return [loss for loss in chosen if loss.value.root not in behind and loss.op not in moving] or chosen


def _ranked(recording: Recording, names: NameIndex, wanted: str | None) -> dict[Value, tuple[int, Loss]]:
    backward_called = {v for op in recording.ops if op.kind is Kind.BACKWARD for v in op.inputs[:1]}
    given = {op.out for op in recording.ops if op.func is with_given_upstream and _is_given_freely(op)}
    computing = [op for op in recording.ops if op.kind is not Kind.ESCAPE and not _only_reports(op)]
    read = {value for op in computing for value in op.inputs}
    ranked: dict[Value, tuple[int, Loss]] = {}
    made_of_losses: set[Value] = set()  # numbers that are
    differences: dict[Value, list[Value]] = {}  # of two losses
    made = [value.birth for value in recording.gradient_named]
    for op in recording.ops:
        if op.kind in (Kind.ESCAPE, Kind.BACKWARD, Kind.RANDOM, Kind.GRAD_READ, Kind.UPSTREAM):
            continue
        for value in op.outputs:
            scalar = all(size == 1 for size in value.shape)
            if value.producer is not op:
                changed = op.kind is Kind.MUTATE and scalar
                if not changed or not (value in backward_called or names.loss_name(value)):
                    continue
                ranked.pop(value, None)  # it is the loss as it is now
            name = names.loss_name(value)
            if wanted is not None:
                stated = isinstance(op.func, StatedLoss) and op.func.text == wanted
                if stated or wanted in names.all_names(value):
                    ranked[value] = 9, Loss(value, op, wanted)
                continue
            if not scalar or not any(isinstance(v, Value) for v in op.inputs):
                continue
            if op.func is with_given_upstream:
                name = _as_a_sum(op, names)
            rank = _loss_rank(op, value, name, value in backward_called or value in given, value not in read)
            if isinstance(op.func, Inferred):
                rank, name = 2, f"{op.func.kind.value} whose gradient is `{names.shown_last(op.args[1][-1])}`"
            if isinstance(op.func, SumOfLosses):
                rank = min(_SAID, *(ranked[v][0] if v in ranked else 0 for v in op.inputs))
                name = f"{names.shown(op.args[0])} ×{op.func.count}"
            made_by = _loss_function(op, names) if rank < 2 else None
            if made_by is not None:
                rank, name = 2, name or made_by
            parts = [v for v in op.inputs if v in made_of_losses or ranked.get(v, (0,))[0] >= _SAID]
            if op.operation is ops.DIV and op.inputs[0] in differences and wanted is None:
                # `(above - below) / (2 * eps)`: they are there for this, but for one that a backward pass follows.
                first, last = sorted(differences[op.inputs[0]], key=lambda part: part.birth)
                followed = any(first.birth < when <= last.birth for when in made)
                for part in ranked.keys() & ({last} if followed else {first, last}):
                    ranked[part] = 1, ranked[part][1]
                rank = 0
            if op.operation is ops.SUB and len(parts) == 2:
                differences[value], rank = parts, rank if rank > 1 else 0
            elif parts:
                # `joint = ce + 0.4 * mse`: what a loss is a part of may be the loss, whatever its name. (The difference
                # of two, `(above - below) / (2 * eps)`, may be a derivative.)
                made_of_losses.add(value)
                rank = _SAID if rank == 1 else rank
            if rank > 1 or (rank and value.producer is op):
                ranked[value] = rank, Loss(value, op, name or names.statement_name(op) or op.name)
    return ranked


def _is_given_freely(op: Op) -> bool:
    """Whether the upstream gradient does not depend on what it is given for: no loss stands behind it, and the backward
    pass begins with it. In the middle of one, it comes from the loss."""
    results, given = op.args
    made = {value.root for value in flow.ancestors(*results) if value.producer is not None}

    def is_drawn(value: Value) -> bool:
        return value.producer is not None and value.producer.operation.family in (
            Family.DRAW,
            Family.CONSTANT,
        )

    return not any(
        value.root in made for value in flow.ancestors(*given, stop=is_drawn) if not is_drawn(value)
    )


def _as_a_sum(op: Op, names: NameIndex) -> str:
    """`(y * dy).sum()`, for `y.backward(dy)`."""
    pairs = zip(*op.args, strict=True)
    return " + ".join(f"({names.shown(result)} * {names.shown(given)}).sum()" for result, given in pairs)


def _loss_function(op: Op, names: NameIndex) -> str | None:
    """The function or class of the person's that hands this number out, if it is named for a loss: what
    `criterion.forward(pred, label)` returns has no name of its own if nobody keeps it."""
    if _only_reports(op) or not names.is_returned(op):
        return None
    path = [part for part in op.code.co_qualname.split(".") if part != "<locals>"]
    if any(parse(part).form is Form.EXPLICIT or is_derivative_name(part) for part in path[-1:]):
        return None
    return next((part for part in reversed(path[-2:]) if _names_a_loss(part)), None)


def _names_a_loss(name: str) -> bool:
    """`mse`, `cross_entropy`, and in a class's way of writing `LossMSE`, `BCELoss`, `CrossEntropy`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return is_loss_name(name) or any(is_loss_name(word) for word in (words.lower(), words.partition("_")[0]))


def _loss_rank(op: Op, value: Value, name: str | None, backward_called: bool, is_unread: bool) -> int:
    if backward_called:
        return 4
    if name is not None and is_loss_name(name, no_gradient=is_unread):
        return 0 if _only_reports(op) and all(v.shape == value.shape for v in op.inputs) else 3
    if op.operation.family is Family.LOSS:
        return 2
    if name is None or _only_reports(op) or op.operation.family is Family.CONSTANT:
        return 0  # `self.grad = np.ones_like(self.data)`: what no number is computed from is no loss
    if is_derivative_name(name):
        return 0
    return int(not value.shape or parse(name).form is Form.NONE)


def _only_reports(op: Op) -> bool:
    """Whether it makes of a loss what one prints: its logarithm, a copy."""
    return op.operation in ops.REPORTING or op.operation.family is Family.SAME
