"""A recorded step as something that can be run again and again: what it starts from, and what it leaves to the next."""

import ast
from dataclasses import dataclass, field
from functools import cache, cached_property

import torch

from gradcheck.base.groups import grouped
from gradcheck.fronts.tape import Binding, Kind, Op, Value, existed_before
from gradcheck.graph import flow
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.judge.pairing.windows import recorded_steps
from gradcheck.program.reading.tree import operands
from gradcheck.replay.runner import ReplayError, Runner
from gradcheck.replay.slices import Slicer, roots_mutated


class CannotIsolateError(Exception):
    """The recorded step cannot be run in a loop; the message says why."""


_PLACES = (ast.Name, ast.Attribute, ast.Subscript)
_FILLS = {"zero", "fill", "copy"}
_SKIPPED = (Kind.ESCAPE, Kind.BACKWARD, Kind.GRAD_WRITE)


@dataclass
class TrainingStep:
    """`ops` are all that the loss and the next step's values need, in order. `carried` maps a value that the step
    starts from to the one that takes its place in the next step; what is changed in place is the same value."""

    judged: JudgedPass
    begin: int
    end: int
    ops: list[Op]
    carried: dict[Value, Value]
    changed: set[Value]  # storages that existed before and are changed in place
    # What it starts from, in the program's own dtype.
    start: dict[Value, torch.Tensor] = field(default_factory=dict)

    def is_of_state(self, value: Value, after: int) -> bool:
        """Whether a value was computed, by op `after`, from what goes on from step to step besides the parameters: a
        momentum can equal the gradient in the first step, and is none."""
        return self._tainted.get(value.root, after + 1) <= after

    @cached_property
    def _tainted(self) -> dict[Value, int]:
        """The storages that hold something of such a state, and the op that put it there. What every step fills again
        is no state."""
        moved = {value.root for value in self.carried} | self.changed
        state = moved - {v.root for op in self.judged.plan.forward_ops for v in (*op.inputs, *op.mutated)}
        writes = grouped((value.root, op) for op in self.ops for value in op.mutated)
        filled = {root for root, ops in writes.items() if _fills(ops[0], root) or _fills(ops[-1], root)}
        tainted = dict.fromkeys(state - filled, self.begin)
        for op in flow.steps_from(self.ops, tainted, key=flow.storage):
            for value in (*op.outputs, *op.mutated):
                tainted.setdefault(value.root, op.index)
        return tainted

    @property
    def forward(self) -> set[int]:
        """Indices of the ops that the loss depends on."""
        return {op.index for op in self.judged.plan.forward_ops}


def _fills(op: Op, root: Value) -> bool:
    return op.name.strip("_") in _FILLS and any(value.shape == root.shape for value in op.mutated)


def training_step(judgement: Judgement, judged: JudgedPass) -> TrainingStep:
    """Raises CannotIsolateError if the step moves nothing, or begins with something that was not recorded."""
    begin, end = _window(judgement, judged)
    ops = judgement.recording.ops
    plan = judged.plan
    window = ops[begin:end]
    changed = {
        root
        for root in roots_mutated(op for op in window if op.kind not in _SKIPPED)
        if existed_before(root, begin) and root.autograd_of is None
    }
    carried = _rebound(judgement, window, begin, end)
    slicer = plan.slicer
    wanted = [plan.loss, *changed, *carried.values()]
    needed = slicer.slice(wanted, begin, end)
    read = {value for op in needed for value in op.inputs}
    # Only what a later step reads is worth carrying on; a counter that is printed is not.
    carried = {old: new for old, new in carried.items() if old in read or old.root in {v.root for v in read}}
    changed = {root for root in changed if any(value.root is root for value in read)}
    if not changed and not carried:
        raise CannotIsolateError("the recorded step moves no parameter: there is no training to repeat")
    wanted = [plan.loss, *changed, *carried.values()]
    needed = slicer.slice(wanted, begin, end)
    step = TrainingStep(judged, begin, end, needed, carried, changed)
    step.start = _start(slicer, step)
    return step


def _window(judgement: Judgement, judged: JudgedPass) -> tuple[int, int]:
    loss = judged.plan.loss_op.index
    for step in recorded_steps(judgement.recording):
        if step.begin <= loss < step.end:
            return step.begin, step.end
    return judged.plan.start, judged.plan.stop


def _rebound(judgement: Judgement, window: list[Op], begin: int, end: int) -> dict[Value, Value]:
    """Where a name held one value when the step began and another, computed from it, when it ended. Raises
    CannotIsolateError where it is not known what it held."""
    before: dict[tuple[int, str, int], Value] = {}
    after: dict[tuple[int, str, int], Binding] = {}
    for binding in judgement.recording.bindings:
        key = binding.scope, binding.variable, binding.owner
        if binding.when <= begin:
            before[key] = binding.value
        elif binding.when <= end and not binding.alias:
            after[key] = binding
    # A name that was given by the namespace alone has no scope of its own.
    by_name = {(name, owner): value for (_, name, owner), value in before.items()}
    made = {value for op in window for value in op.outputs}
    outside = {v for op in window for v in op.inputs if v not in made and v.root not in made}
    found: dict[Value, Value] = {}

    @cache
    def below(old: Value) -> set[Value]:
        return flow.forward(window, [old], through=lambda op: op.kind is not Kind.ESCAPE, key=flow.storage)

    read_as = _read_as(judgement, window, outside)
    for (scope, name, owner), binding in after.items():
        new = binding.value
        if new not in made:
            continue
        old = before.get((scope, name, owner)) or by_name.get((name, owner))
        if old is None or old not in outside:
            # Earlier steps were not recorded: what the step reads under a name says which value it held.
            olds = [v for v in read_as.get(binding.name, ()) if new.root in below(v)]
            if len(olds) > 1 and not any(v.root is new.root for v in olds):
                raise CannotIsolateError(
                    f"it is not known what `{binding.name}` held before the recorded step; --at 0 records the first step"
                )
            old = olds[0] if olds else None
        if old is None or old.root is new.root or old.shape != new.shape:
            continue
        if new.root in below(old):
            found[old] = new
    return found


def _read_as(judgement: Judgement, window: list[Op], outside: set[Value]) -> dict[str, list[Value]]:
    """The values from before the step, by what the source calls them where it computes with them."""
    found: dict[str, list[Value]] = {}
    for op in window:
        given = [value for value in op.args or () if isinstance(value, Value)]
        if not any(value in outside for value in given):
            continue
        nodes = [n for n in operands(judgement.places.node(op)) if isinstance(n, _PLACES)]
        # The other operand of `self.beta * self.m` is a number: no name of a tensor is lost if it counts as one.
        pairs = zip(given, nodes, strict=False) if len(given) > 1 else ((given[0], node) for node in nodes)
        if len(given) > len(nodes):
            continue
        for value, node in pairs:
            named = found.setdefault(ast.unparse(node), [])
            if value in outside and value not in named:
                named.append(value)
    return found


def _start(slicer: Slicer, step: TrainingStep) -> dict[Value, torch.Tensor]:
    """Every value that the ops read and none of them makes, as it was when the step began."""
    made: set[Value] = set()
    needed: dict[Value, None] = {}
    for op in step.ops:
        for value in (*op.inputs, *(v for v in op.outputs if v.producer is not op)):
            if value not in made:
                needed.setdefault(value)
        made.update(value for value in op.outputs if value.producer is op)
    outside = [value for value in needed if value.autograd_of is None]
    replay = Runner(None)
    with torch.no_grad():
        replay.run(slicer.slice(outside, 0, step.begin))
    found = {}
    for value in outside:
        try:
            found[value] = replay.tensor(value).detach()
        except ReplayError as error:
            name = step.judged.plan.loss_name
            raise CannotIsolateError(
                f"the step of `{name}` begins with something that was not recorded: {error}"
            ) from None
    return found


@dataclass(frozen=True)
class Substitution:
    """The gradient in `value`, finished by op `after`, is replaced by `scale` times the true one of `of`."""

    value: Value
    after: int
    of: Value
    scale: float = 1.0
