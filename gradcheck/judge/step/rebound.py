"""Updates that give a parameter's name to something that does not go on from it: `b =- rate * db`, `W = rate * dW - W`;
and those that change a loop variable alone: `for p, g in zip(...): p = p - rate * g`.

Whether a new value goes on from the old one is measured: the update is replayed with the gradients as they were and the
old value moved a little. A step leaves that move as it is, or shrinks it (weight decay, an average).
"""

import ast
from collections import defaultdict

import torch

from gradcheck.fronts.tape import Binding, Op, Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.step.effects import Given, Span, moves
from gradcheck.judge.step.records import Movement
from gradcheck.replay.compare import distance, inner, norm
from gradcheck.replay.passes import Version

_SAME = 1e-6  # of the size of a move: rounding of a replay in float64


def own_names(value: Value, names: NameIndex) -> set[str]:
    """What it is called for longer than one turn of a loop over the parameters."""
    bindings = names.bindings(value)
    return {b.name for b in bindings if not is_loop_variable(b, names)} or {b.name for b in bindings}


def is_loop_variable(binding: Binding, names: NameIndex) -> bool:
    return binding.alias and isinstance(_statement(binding, names), (ast.For, ast.AsyncFor))


def _statement(binding: Binding, names: NameIndex) -> ast.stmt | None:
    return names.places.statement_at(binding.code, binding.line) if binding.code is not None else None


def lost_in_loop(value: Value, computed: list[Op], judge: Judge) -> Op | None:
    """The update (one of `computed`) whose result only the loop variable holds, which nothing reads any more."""
    names = judge.names
    variables = {b.name for b in names.bindings(value) if is_loop_variable(b, names)}
    for op in computed:
        made = op.out
        held = names.bindings(made) if isinstance(made, Value) else []
        bound = [b for b in held if b.code is not None]  # the rest is what a namespace held at the end
        if not bound or not {b.name for b in held} <= variables:
            continue
        read = any(
            v.root is made.root for later in judge.ops[op.index + 1 : judge.plan.stop] for v in later.inputs
        )
        if not read and not any(_is_read_below(b, names) for b in bound):
            return op
    return None


def _is_read_below(binding: Binding, names: NameIndex) -> bool:
    """Whether the loop reads the variable once more after the statement that binds it."""
    statement = _statement(binding, names)
    if binding.code is None or not isinstance(statement, ast.Assign):
        return True
    loops = [
        s
        for s in names.places.statements(binding.code.co_filename)
        if isinstance(s, (ast.For, ast.AsyncFor)) and s.lineno <= statement.lineno <= (s.end_lineno or 0)
    ]
    end = statement.end_lineno or statement.lineno
    return not loops or any(
        isinstance(node, ast.Name) and node.id == binding.name and isinstance(node.ctx, ast.Load)
        for node in ast.walk(max(loops, key=lambda s: s.lineno))
        if getattr(node, "lineno", 0) > end
    )


def rebound(value: Value, gradients: list[Version], judge: Judge) -> tuple[Movement, Op] | None:
    """How its name was given to something that is computed from one of its `gradients` and is no step from it, if it was;
    and where."""
    for op in judge.ops[judge.plan.loss_op.index + 1 : judge.plan.stop]:
        made = op.out
        if not isinstance(made, Value) or made.shape != value.shape:
            continue
        movement = _how(value, made, gradients, judge) if _takes_its_name(made, value, judge.names) else None
        if movement is not None:
            return movement, op
    return None


def _takes_its_name(made: Value, value: Value, names: NameIndex) -> bool:
    own = [b for b in names.bindings(value) if not is_loop_variable(b, names)]
    return made.root is not value.root and any(
        new.variable == old.variable and (new.owner == old.owner if new.owner else new.scope == old.scope)
        for new in names.bindings(made)
        for old in own
    )


def _how(value: Value, made: Value, gradients: list[Version], judge: Judge) -> Movement | None:
    assert made.producer is not None
    roots = {version.candidate.value.root for version in gradients}

    def is_given(v: Value) -> bool:
        return v.root in roots or v.producer is None or v.producer.index <= judge.plan.loss_op.index

    read = [v for v in flow.ancestors(made, stop=is_given) if is_given(v)]
    if not any(v.root in roots for v in read):
        return None
    others = [v for v in read if v.root not in roots and v.root is not value.root and v.shape != ()]
    share = _share_kept(value, made, gradients, judge)
    if share is None:
        return None
    if share < -_SAME:
        return Movement.TURNED_ROUND
    # Weights may be copied from what an optimiser keeps elsewhere: from a gradient and numbers, they cannot.
    return Movement.REPLACED if abs(share) <= _SAME and not others else None


def _share_kept(value: Value, made: Value, gradients: list[Version], judge: Judge) -> float | None:
    """The factor with which the old value enters the new one; None if it is no factor."""
    assert made.producer is not None
    last = made.producer.index
    ops = judge.plan.slicer.slice([value, made], 0, last + 1)
    first = next((op.index for op in ops if op.index > judge.plan.loss_op.index), last)
    generator = torch.Generator().manual_seed(0)
    shift = torch.rand(judge.run.graph.tensor(value).shape, dtype=torch.float64, generator=generator) - 0.5
    held: Given = defaultdict(list)
    for version in gradients:
        if (found := judge.captured(version)) is not None:
            held[version.after].append((version.candidate.value, found))
    span = {value: Span(value, made, first, last)}
    plain = moves(judge, ops, span, given=held)
    shifted = moves(judge, ops, span, given=held, shifts={value: shift})
    if value not in plain or value not in shifted or norm(shift) == 0:
        return None
    change = shifted[value] - plain[value]
    factor = inner(change, shift) / norm(shift) ** 2
    return factor if distance(change, factor * shift) <= _SAME * norm(shift) else None
