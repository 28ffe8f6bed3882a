"""A recorded step as a Python function that runs it many times, at the speed of the program's own loop.

The ops become straight-line code, with one local variable per recorded value. Substituted gradients are assigned right
behind the op that finished the person's own, so that all that is computed from them is computed from the true ones.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from gradcheck.fronts.tape import Kind, Number, Op, Value
from gradcheck.isolation.errors import CannotIsolateError
from gradcheck.isolation.liveness import needed
from gradcheck.isolation.plain_numbers import FollowedNumbers
from gradcheck.isolation.step import TrainingStep
from gradcheck.isolation.substitution import Substitution

_NOT_AGAIN = ("generator", "device", "out")  # of a draw: it comes from the one seeded stream


@dataclass
class CompiledStep:
    """`run(count, losses, goes_on)` trains for `count` steps from the recorded start and appends each loss, a tensor
    without a graph; `goes_on` is asked after every step. `source` is the code, for reading."""

    run: Callable[[int, list[torch.Tensor], Callable[[], bool]], None]
    source: str


def compile_step(
    step: TrainingStep,
    substitutions: Iterable[Substitution] = (),
    *,
    fresh: Mapping[Value, Callable[[], torch.Tensor]] | None = None,
    skipped: Mapping[Value, Value] | None = None,
    numbers: FollowedNumbers | None = None,
) -> CompiledStep:
    """`fresh` gives for some values what makes them anew in every step, in place of their op; `skipped` for some
    the earlier value that takes their place; `numbers` says which arguments change from step to step. Raises
    CannotIsolateError for what cannot be run again."""
    numbers = numbers or FollowedNumbers()
    return _Compiler(step, list(substitutions), dict(fresh or {}), dict(skipped or {}), numbers).compiled()


class _Compiler:
    def __init__(
        self,
        step: TrainingStep,
        substitutions: list[Substitution],
        fresh: dict[Value, Callable[[], torch.Tensor]],
        skipped: dict[Value, Value],
        numbers: FollowedNumbers,
    ) -> None:
        self._numbers = numbers
        self._step = step
        self._fresh = fresh
        self._skipped = skipped
        self._names: dict[Value, str] = {}
        self._with_graph: dict[Value, str] = {}  # leaves of the forward pass, under their second name
        self._constants: list[Any] = []
        self._constant_names: dict[int, str] = {}
        self._lines: list[str] = []
        self._defined: set[Value] = set(step.start)
        self._truths: dict[Value, str] = {}
        by_op: dict[int, list[Substitution]] = defaultdict(list)
        for substitution in substitutions:
            by_op[substitution.after].append(substitution)
        remade = {**dict.fromkeys(self._fresh, ()), **{v: (given,) for v, given in skipped.items()}}
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
            self._emit("now = numbers_at(number)")
        for op in self._ordered(forward, last_forward):
            in_graph = bool(self._wanted) and op.index in forward
            if in_graph != graph:
                graph = in_graph
                self._emit(f"set_grad_enabled({graph})")
            if op.index in self._needed.ops:
                self._op(op, in_graph)
            if op.index == last_forward:
                self._after_forward()
                graph = False
            for substitution in self._by_op.get(op.index, ()):
                self._substitute(substitution)
        for old, new in step.carried.items():
            self._emit(f"next_{self._name(old)} = {self._name(new)}")
        for old in step.carried:
            self._emit(f"{self._name(old)} = next_{self._name(old)}")
        unpacked = [f"    {self._name(value)} = start[{i}]" for i, value in enumerate(start)]
        # Autograd refuses what the forward pass overwrites in place, unless it keeps copies.
        overwrites = bool(self._wanted) and any(op.mutated for op in step.ops if op.index in forward)
        source = "\n".join(
            [
                *(["@mutable()"] if overwrites else []),
                "def run(count, losses, goes_on):",
                "    start = fresh_start()",
                *unpacked,
                "    for number in range(count):",
                *(f"        {line}" for line in self._lines),
                "        if not goes_on():",
                "            break",
            ]
        )
        namespace: dict[str, Any] = {f"c{i}": constant for i, constant in enumerate(self._constants)}
        namespace |= {
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
        kind = op.kind
        if kind in (Kind.ESCAPE, Kind.BACKWARD, Kind.GRAD_WRITE):
            return
        if isinstance(op.out, Value) and op.out in self._fresh:
            self._define(op.out, f"{self._constant(self._fresh[op.out])}()")
            return
        if isinstance(op.out, Value) and op.out in self._skipped and op.out.producer is op:
            self._define(op.out, f"{self._read(self._skipped[op.out], in_graph)}.clone()")
            return
        if kind is Kind.GRAD_READ:
            self._read_gradient(op)
            return
        if kind is Kind.DATA_WRITE:
            self._emit(f"{self._read(op.args[0], False)}.data = {self._read(op.args[1], False)}")
            return
        if kind is Kind.DROPOUT and op.name in ("alpha_dropout", "feature_alpha_dropout", "native_dropout"):
            raise CannotIsolateError(f"`{op.name}` cannot be repeated: its mask is not known")
        if (
            isinstance(op.out, Value)
            and op.out.producer is not op
            and op.out in self._defined
            and kind in (Kind.PURE, Kind.CREATE)
        ):
            return  # handed back the very tensor it was given
        anew = self._numbers.arguments
        arguments = [
            anew.get((op.index, i)) or self._encode(argument, in_graph)
            for i, argument in enumerate(op.args or ())
        ]
        for name, value in (op.kwargs or {}).items():
            if kind in (Kind.RANDOM, Kind.RANDOM_MUTATE) and name in _NOT_AGAIN:
                continue
            given = anew.get((op.index, name)) or self._encode(value, in_graph)
            arguments.append(f"{name}={given}" if name.isidentifier() else f"**{{{name!r}: {given}}}")
        call = f"{self._constant(op.func)}({', '.join(arguments)})"
        if (
            kind is Kind.RANDOM
            and op.args is not None
            and any(isinstance(a, torch.Generator) for a in op.args)
        ):
            raise CannotIsolateError(f"`{op.name}` is given its generator by position")
        self._result(op.out, call, op)

    def _result(self, out: Any, call: str, op: Op) -> None:
        if isinstance(out, Value):
            if out.producer is op or out not in self._defined:
                self._define(out, call)
            else:
                self._emit(call)
        elif isinstance(out, tuple):
            self._emit(f"several = {call}")
            self._unpack(out, "several")
        else:
            self._emit(call)

    def _unpack(self, out: tuple[Any, ...], source: str) -> None:
        for i, item in enumerate(out):
            if isinstance(item, Value):
                self._define(item, f"{source}[{i}]")
            elif isinstance(item, tuple):
                self._unpack(item, f"{source}[{i}]")

    def _read_gradient(self, op: Op) -> None:
        out = op.out
        if not isinstance(out, Value) or out in self._defined:
            return
        if out.autograd_of is None or out.autograd_of not in self._truths:
            raise CannotIsolateError(
                "it reads a `.grad` that autograd filled in some way that cannot be repeated"
            )
        self._define(out, f"{self._truths[out.autograd_of]}.clone()")

    # -- true gradients ------------------------------------------------------------------------------------------

    def _name_leaves(self, forward: set[int]) -> None:
        """The parameters, and whatever else a true gradient is wanted of, as leaves of an autograd graph."""
        step = self._step
        moved = set(step.carried) | set(self._wanted)
        read = {v for op in step.ops if op.index in forward for v in op.inputs}
        for value, tensor in step.start.items():
            is_parameter = value in moved or value.root in step.changed
            if value in read and is_parameter and (tensor.is_floating_point() or tensor.is_complex()):
                self._with_graph[value] = f"g{self._name(value)}"
                self._emit(f"g{self._name(value)} = {self._name(value)}.detach().requires_grad_()")

    def _after_forward(self) -> None:
        loss = self._step.judged.plan.loss
        name = self._name(loss)
        if self._wanted:
            targets = [self._with_graph.get(v) or self._name(v) for v in self._wanted]
            for value in self._wanted:
                if value not in self._defined:
                    raise CannotIsolateError(
                        "a gradient belongs to a value that the loss is not computed from"
                    )
            total = name if loss.shape == () else f"{name}.sum()"
            self._emit(f"truths = gradients({total}, [{', '.join(targets)}], allow_unused=True)")
            self._emit("set_grad_enabled(False)")
            for i, (value, target) in enumerate(zip(self._wanted, targets, strict=True)):
                truth = self._truths[value] = f"t{i}"
                self._emit(f"{truth} = zeros_like({target}) if truths[{i}] is None else truths[{i}]")
        self._emit(f"losses.append({name}.detach())")

    def _substitute(self, substitution: Substitution) -> None:
        truth = self._truths.get(substitution.of)
        if truth is None:
            raise CannotIsolateError("a gradient was finished before its loss was computed")
        scale = "" if substitution.scale == 1.0 else f" * {substitution.scale!r}"
        shape = tuple(substitution.value.shape)
        name = self._name(substitution.value)
        if substitution in self._needed.in_place:
            self._emit(f"{name}.copy_({truth}{scale})")
            return
        self._defined.add(substitution.value)
        self._emit(f"{name} = {truth}.reshape({shape!r}){scale}")

    # -- source ----------------------------------------------------------------------------------------------------

    def _emit(self, line: str) -> None:
        self._lines.append(line)

    def _define(self, value: Value, source: str) -> None:
        self._defined.add(value)
        self._emit(f"{self._name(value)} = {source}")

    def _name(self, value: Value) -> str:
        return self._names.setdefault(value, f"v{len(self._names)}")

    def _constant(self, thing: Any) -> str:
        name = self._constant_names.get(id(thing))
        if name is None:
            name = self._constant_names[id(thing)] = f"c{len(self._constants)}"
            self._constants.append(thing)
        return name

    def _read(self, value: Value, in_graph: bool) -> str:
        if value not in self._defined:
            raise CannotIsolateError("the step reads a value whose making was not recorded")
        return (self._with_graph.get(value) if in_graph else None) or self._name(value)

    def _encode(self, thing: Any, in_graph: bool) -> str:
        if isinstance(thing, Value):
            return self._read(thing, in_graph)
        if isinstance(thing, Number):
            return (
                f"{self._read(thing.source, False)}.item()"
                if thing.source in self._defined
                else repr(thing.was)
            )
        kind = type(thing)
        if kind in (int, bool, str, type(None)):
            return repr(thing)
        if kind is tuple or kind is list:
            inner = ", ".join(self._encode(item, in_graph) for item in thing)
            if kind is list:
                return f"[{inner}]"
            return f"({inner},)" if thing else "()"
        if kind is dict:
            return "{" + ", ".join(f"{k!r}: {self._encode(v, in_graph)}" for k, v in thing.items()) + "}"
        if kind is slice:
            return f"slice({', '.join(self._encode(b, in_graph) for b in (thing.start, thing.stop, thing.step))})"
        return self._constant(thing)
