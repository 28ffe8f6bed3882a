"""The parameters of a step: what its forward pass begins with, and what moves after the loss."""

from dataclasses import dataclass

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.step.effects import Span
from gradcheck.judge.step.rebound import own_names
from gradcheck.judge.step.trails import Flow, Move


@dataclass(slots=True)
class Parameter:
    value: Value
    own: list[Judged]  # its manual gradients
    moves: list[Move]
    rebound: Op | None  # the op that computes its successor, where it is not changed in place

    @property
    def deciding(self) -> list[Move]:
        """The moves that a gradient of this step has a part in; all, if none has."""
        return [move for move in self.moves if move.by_gradients] or self.moves


def find_parameters(judge: Judge, trails: Flow) -> list[Parameter]:
    """Values with a manual gradient, or moved after the loss, that are not computed from another such value."""
    plan, truth = judge.plan, judge.run.graph.truth
    own: dict[Value, list[Judged]] = {}
    for judged in judge.judged:
        if judged.of is not None and judged.of in truth:
            own.setdefault(judged.of, []).append(judged)
    # In the order of first use: a set would have another order in every process.
    used = dict.fromkeys(v for op in plan.forward_ops for v in (*op.inputs, *op.outputs))
    starting = [v for v in used if v in own or (v.root in trails.moves and v in truth)]
    starting += [v for v in own if v not in used]
    below = flow.new_storages(plan.forward_ops, starting)
    by_root: dict[Value, Parameter] = {}
    for value in sorted(starting, key=lambda v: (v.birth, v.root is not v)):
        if value.root in below:
            continue
        known = by_root.get(value.root)
        if known is None:
            moves, rebound = _moves_of(value, trails, judge.names)
            by_root[value.root] = Parameter(value, list(own.get(value, ())), moves, rebound)
        elif value.shape == known.value.shape:
            known.own.extend(own.get(value, ()))
    return list(by_root.values())


def _moves_of(value: Value, trails: Flow, names: NameIndex) -> tuple[list[Move], Op | None]:
    """Its moves, and the op that computes its successor where that has its name from then on."""
    moves = trails.moves.get(value.root, [])
    in_place = [m for m in moves if any(v.root is value.root for v in m.op.mutated)]
    if in_place:
        return in_place, None
    called = own_names(value, names)
    for move in moves:
        if isinstance(move.op.out, Value) and called & set(names.all_names(move.op.out)):
            return [move], move.op
    return [], None


def span_of(parameter: Parameter) -> Span:
    """From the first to the last move that a gradient of this step has a part in: a later step may move it again."""
    moves = parameter.deciding
    first, last = moves[0].op, moves[-1].op
    if parameter.rebound is not None and isinstance(parameter.rebound.out, Value):
        return Span(parameter.rebound.args[0], parameter.rebound.out, first.index, last.index)
    return Span(parameter.value, parameter.value, first.index, last.index)
