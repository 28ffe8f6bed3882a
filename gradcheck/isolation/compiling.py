"""A recorded step as a Python function that runs it many times, at the speed of the program's own loop.

The ops become straight-line code, with one local variable per recorded value. Substituted gradients are assigned right
behind the op that finished the person's own, so that all that is computed from them is computed from the true ones.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch

from gradcheck.base.groups import grouped
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.lower import UNKNOWN_MASKS, node_of
from gradcheck.graph.node import Role
from gradcheck.isolation.liveness import needed
from gradcheck.isolation.plain_numbers import FollowedNumbers
from gradcheck.isolation.step import CannotIsolateError, Substitution, TrainingStep
from gradcheck.replay.compiled import StraightLine
from gradcheck.replay.runner import ReplayError

_NOT_AGAIN = ("generator", "device", "out")  # of a draw: it comes from the one seeded stream


@dataclass
class CompiledStep:
    """`run(count, losses, goes_on)` trains for `count` steps from the recorded start and appends each loss, a tensor
    without a graph; `goes_on` is asked after every step. `source` is the code, for reading."""

    run: Callable[[int, list[torch.Tensor], Callable[[], bool]], None]
    source: str


def compile_step(
    step: TrainingStep,
    substitutions: list[Substitution],
    fresh: dict[Value, Callable[[], torch.Tensor]],
    skipped: dict[Value, Value],
    numbers: FollowedNumbers,
) -> CompiledStep:
    """`fresh` gives for some values what makes them in every step, in place of their op; `skipped` for some
    the earlier value that takes their place; `numbers` says which arguments change from step to step. Raises
    CannotIsolateError for what cannot be run again."""
    try:
        return _Compiler(step, substitutions, fresh, skipped, numbers).compiled()
    except ReplayError as error:
        raise CannotIsolateError(str(error)) from None


@dataclass
class _Compiler:
    _step: TrainingStep
    _substitutions: list[Substitution]
    _fresh: dict[Value, Callable[[], torch.Tensor]]
    _skipped: dict[Value, Value]
    _numbers: FollowedNumbers

    def __post_init__(self) -> None:
        step = self._step
        self._with_graph: dict[Value, str] = {}  # leaves of the forward pass, under their second name
        self._code = StraightLine(set(step.start))
        self._truths: dict[Value, str] = {}
        by_op = grouped((substitution.after, substitution) for substitution in self._substitutions)
        remade = {**dict.fromkeys(self._fresh, ()), **{v: (given,) for v, given in self._skipped.items()}}
        self._needed = needed(step, by_op, remade)
        self._by_op = self._needed.substitutions
        autograd = [
            v.autograd_of
            for op in step.ops
            if op.kind is Kind.GRAD_READ and op.index in self._needed.ops
            for v in op.outputs
            if v.autograd_of is not None
        ]
        wanted = [s.of for group in self._by_op.values() for s in group] + autograd
        self._wanted = list(dict.fromkeys(wanted))

    def compiled(self) -> CompiledStep:
        step = self._step
        start = list(step.start)
        forward = step.forward
        if self._wanted:
            self._name_leaves(forward)
        graph = False
        last_forward = max((op.index for op in step.ops if op.index in forward), default=-1)
        if self._numbers.arguments:
            self._code.emit("now = numbers_at(number)")
        for op in self._ordered(forward, last_forward):
            in_graph = bool(self._wanted) and op.index in forward
            if in_graph != graph:
                graph = in_graph
                self._code.emit(f"set_grad_enabled({graph})")
            if op.index in self._needed.ops:
                self._op(op, in_graph)
            if op.index == last_forward:
                self._after_forward()
                graph = False
            for substitution in self._by_op.get(op.index, ()):
                self._substitute(substitution)
        for old, new in step.carried.items():
            self._code.emit(f"next_{self._code.name(old)} = {self._code.name(new)}")
        for old in step.carried:
            self._code.emit(f"{self._code.name(old)} = next_{self._code.name(old)}")
        unpacked = [f"    {self._code.name(value)} = start[{i}]" for i, value in enumerate(start)]
        # Autograd refuses what the forward pass overwrites in place, unless it keeps copies.
        overwrites = bool(self._wanted) and any(op.mutated for op in step.ops if op.index in forward)
        source = "\n".join(
            [
                *(["@mutable()"] if overwrites else []),
                "def run(count, losses, goes_on):",
                "    start = fresh_start()",
                *unpacked,
                "    for number in range(count):",
                *(f"        {line}" for line in self._code.lines),
                "        if not goes_on():",
                "            break",
            ]
        )
        namespace = self._code.namespace | {
            "numbers_at": self._numbers.at,
            "set_grad_enabled": torch._C._set_grad_enabled,
            "mutable": torch.autograd.graph.allow_mutation_on_saved_tensors,
            "gradients": torch.autograd.grad,
            "zeros_like": torch.zeros_like,
            "fresh_start": lambda: copy.deepcopy([step.start[value] for value in start]),
        }
        exec(compile(source, "<compiled step>", "exec"), namespace)
        return CompiledStep(namespace["run"], source)

    def _ordered(self, forward: set[int], last_forward: int) -> list[Op]:
        """In the person's order; or the forward pass first, where a gradient is finished before all of the loss is
        computed, as with micro-batches: its true one can only be known then."""
        ops = self._step.ops
        early = [op for op in ops if op.index < last_forward and op.index not in forward]
        if not any(op.index < last_forward for op in ops if self._by_op.get(op.index)):
            return ops
        late = [op for op in ops if op.index in forward]
        moved = {v.root for op in early for v in op.mutated} & {v.root for op in late for v in op.inputs}
        moved |= {v.root for op in late for v in op.mutated} & {v.root for op in early for v in op.inputs}
        if moved:
            raise CannotIsolateError("a gradient is finished, and used, before its loss is computed")
        return late + [op for op in ops if op.index not in forward]

    # -- ops -----------------------------------------------------------------------------------------------------

    def _op(self, op: Op, in_graph: bool) -> None:
        node, code = node_of(op), self._code
        code.second = self._with_graph if in_graph else {}
        if isinstance(op.out, Value) and op.out in self._fresh:
            code.define(op.out, f"{code.constant(self._fresh[op.out])}()")
        elif isinstance(op.out, Value) and op.out in self._skipped and op.out.producer is op:
            code.define(op.out, f"{code.read(self._skipped[op.out])}.clone()")
        elif op.kind is Kind.GRAD_READ:
            self._read_gradient(op)
        elif op.kind is Kind.DROPOUT and op.name in UNKNOWN_MASKS:
            raise CannotIsolateError(f"`{op.name}` cannot be repeated: its mask is not known")
        elif node.role in (Role.CONSTANT, Role.FILL):
            if node.role is Role.CONSTANT and any(isinstance(a, torch.Generator) for a in node.args):
                raise CannotIsolateError(f"`{op.name}` is given its generator by position")
            code.node(node, self._numbers.arguments, _NOT_AGAIN)
        elif node.role is not Role.NOTHING:
            draw = op.func if op.kind is Kind.DROPOUT else None
            code.node(node, self._numbers.arguments, call=draw)

    def _read_gradient(self, op: Op) -> None:
        out = op.out
        if not isinstance(out, Value) or out in self._code.defined:
            return
        if out.autograd_of is None or out.autograd_of not in self._truths:
            raise CannotIsolateError(
                "it reads a `.grad` that autograd filled in some way that cannot be repeated"
            )
        self._code.define(out, f"{self._truths[out.autograd_of]}.clone()")

    # -- true gradients ------------------------------------------------------------------------------------------

    def _name_leaves(self, forward: set[int]) -> None:
        """The parameters, and whatever else a true gradient is wanted of, as leaves of an autograd graph."""
        step = self._step
        moved = set(step.carried) | set(self._wanted)
        read = {v for op in step.ops if op.index in forward for v in op.inputs}
        for value, tensor in step.start.items():
            is_parameter = value in moved or value.root in step.changed
            if value in read and is_parameter and (tensor.is_floating_point() or tensor.is_complex()):
                self._with_graph[value] = f"g{self._code.name(value)}"
                self._code.emit(
                    f"g{self._code.name(value)} = {self._code.name(value)}.detach().requires_grad_()"
                )

    def _after_forward(self) -> None:
        loss = self._step.judged.plan.loss
        name = self._code.name(loss)
        if self._wanted:
            targets = [self._with_graph.get(v) or self._code.name(v) for v in self._wanted]
            for value in self._wanted:
                if value not in self._code.defined:
                    raise CannotIsolateError(
                        "a gradient belongs to a value that the loss is not computed from"
                    )
            total = name if loss.shape == () else f"{name}.sum()"
            self._code.emit(f"truths = gradients({total}, [{', '.join(targets)}], allow_unused=True)")
            self._code.emit("set_grad_enabled(False)")
            for i, (value, target) in enumerate(zip(self._wanted, targets, strict=True)):
                truth = self._truths[value] = f"t{i}"
                self._code.emit(f"{truth} = zeros_like({target}) if truths[{i}] is None else truths[{i}]")
        self._code.emit(f"losses.append({name}.detach())")

    def _substitute(self, substitution: Substitution) -> None:
        truth = self._truths.get(substitution.of)
        if truth is None:
            raise CannotIsolateError("a gradient was finished before its loss was computed")
        scale = "" if substitution.scale == 1.0 else f" * {substitution.scale!r}"
        shape = tuple(substitution.value.shape)
        name = self._code.name(substitution.value)
        if substitution in self._needed.in_place:
            self._code.emit(f"{name}.copy_({truth}{scale})")
            return
        self._code.defined.add(substitution.value)
        self._code.emit(f"{name} = {truth}.reshape({shape!r}){scale}")
