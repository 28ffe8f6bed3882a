"""The one runner: runs nodes of the graph again, under other conditions.

It holds one tensor for every tensor object of the program: its current version. What a call draws at random, and what
came from outside, stays as it was recorded.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from typing import Any, ParamSpec, Protocol, TypeVar
from weakref import WeakValueDictionary

import torch

from gradcheck.base.deadline import check_time
from gradcheck.fronts.tape import Number, Op, Value, rebuilt
from gradcheck.fronts.torch.values import pairs
from gradcheck.graph.lower import node_of
from gradcheck.graph.node import Node, Role
from gradcheck.graph.precision import Precision, converted, default_dtype
from gradcheck.ops import ADD, COPY_INTO, DROPOUT, EMPTY, FILL, GETITEM, SELECT, SETITEM, SUB
from gradcheck.replay.compare import differentiable
from gradcheck.replay.earlier import Carried, EarlierVersion, as_of_now
from gradcheck.replay.memory import Memory, same_memory
from gradcheck.replay.variation import Variation

# Above this many elements a leaf that is only selected from is not converted whole.
LARGE = 100_000
P = ParamSpec("P")
T = TypeVar("T")
_converted: WeakValueDictionary[tuple[int, int, torch.dtype], torch.Tensor] = WeakValueDictionary()
# Autograd keeps nothing of what these write.
_KEEP_NOTHING = frozenset({SETITEM, FILL, COPY_INTO, ADD, SUB})


class ReplayError(Exception):
    """A node could not be run again; the message says which and why."""


def attempted(make: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | None:
    """What is made; None where a node that it takes cannot be run again."""
    with suppress(ReplayError):
        return make(*args, **options)
    return None


class Patch(Protocol):
    """One execution of a statement or expression of the program, replaced by another computation.

    `skipped` are the ops that it replaces; it is applied after an op (or in its place, if that is skipped), reads the
    tensors of `reads` and puts what it computed into the run.
    """

    @property
    def skipped(self) -> frozenset[int]: ...

    @property
    def reads(self) -> tuple[Value, ...]: ...

    def apply(self, replay: Runner) -> None: ...


# (where autograd hands a gradient over, the gradients that were returned further down and for which values, the run)
# -> what arrives there
Upstream = Callable[[Node, Mapping[Value, torch.Tensor], "Runner"], torch.Tensor | None]


class Runner:
    """`dtype` replaces every floating type; None keeps the recorded tensors in their own.

    `overrides` replaces some values as soon as they are made: jittered parameters, fresh draws, another batch.
    `start_from` are the tensors of values that were made before. `known` tensors are there from the start, and are never
    changed. `patches` maps the index of an op to what is done after it. `upstream` says what autograd hands to the
    `backward` of a custom Function, `autograd_truth` what it puts into `.grad`. With `differentiate`, every tensor that
    can have a gradient has one, but for the leaves `undifferentiated`, and none goes on through those that are `stopped`.
    `drops` says whether dropout drops anything. `variation` says which numbers of the program are others: sizes, constants.
    """

    def __init__(
        self, dtype: torch.dtype | None, *, overrides: Mapping[Value, torch.Tensor] | None = None,
        differentiate: bool = False, autograd_truth: Mapping[Value, torch.Tensor] | None = None,
        start_from: Mapping[Value, torch.Tensor] | None = None,
        known: Mapping[Value, torch.Tensor] | None = None, patches: Mapping[int, Patch] | None = None,
        upstream: Upstream | None = None, drops: bool = True, variation: Variation | None = None,
        undifferentiated: Container[Value] = frozenset(), stopped: Container[Value] = frozenset(),
    ) -> None:  # fmt: skip
        self._own_types = dtype is None
        self.dtype = torch.get_default_dtype() if dtype is None else dtype
        self.env: dict[Value, torch.Tensor] = dict(known or {})
        self.broken: dict[Value, str] = {}
        self._known = known or {}
        self._patches = patches or {}
        self._skipped = {index for patch in self._patches.values() for index in patch.skipped}
        self._overrides = overrides or {}
        self._differentiate = differentiate
        self._autograd_truth = autograd_truth or {}
        self.start_from = start_from or {}
        self._upstream = upstream
        self._drops = drops
        self._undifferentiated = undifferentiated
        self._stopped = stopped
        self._held: dict[Value, torch.Tensor] = {}  # large leaves in this precision, which other runs use too
        self.variation = variation
        self._memory = Memory()

    def fork(self) -> Runner:
        """One that goes on by itself from here, and changes nothing that this one holds."""
        other = copy.copy(self)
        other.env, other.broken = dict(self.env), dict(self.broken)
        other._known = dict(self.env)
        other._memory = self._memory.copy()
        return other

    # -- tensors -------------------------------------------------------------------------------------------------

    def tensor(self, value: Value) -> torch.Tensor:
        """The current version of `value`, made from the recorded leaf at first use."""
        found = self.env.get(value)
        if found is not None:
            return found
        if value in self.broken:
            raise ReplayError(self.broken[value])
        maker = self._memory.maker.get(value)
        if maker is not None:
            self._view_again(maker)
            return self.env[value]
        start = self.start_from.get(value)
        if start is None:
            if value.autograd_of is not None and value.autograd_of in self._autograd_truth:
                start = self._autograd_truth[value.autograd_of]
            else:
                start = value.data
        if start is None:
            raise ReplayError("what computed it was not recorded")
        return self._place_leaf(value, start)

    def put(self, value: Value, tensor: torch.Tensor, lent: bool = False) -> None:
        """Let `tensor` be the version of `value` from here on; one that is only lent is not written to."""
        self.broken.pop(value, None)
        self._memory.detach(value)
        self._memory.abandon(value)
        self.env[value] = tensor
        if lent:
            self._memory.borrowed.add(value)

    def preserved(self, value: Value) -> torch.Tensor:
        """The current version of `value`, which stays what it is: whoever writes to it makes another."""
        tensor = self.tensor(value)
        self._memory.borrowed.add(self._memory.base_of(value))
        return tensor

    def forget(self, value: Value) -> None:
        """Let go of a tensor that nobody reads again."""
        if not self._memory.is_needed(value):
            self.env.pop(value, None)
            self._held.pop(value, None)

    def writable(self, value: Value) -> torch.Tensor:
        """The current version of `value`, which may be changed in place to make the next one."""
        tensor = self.tensor(value)
        memory = self._memory
        base = memory.base_of(value)
        held = tensor if base is value else self.env.get(base)
        if held is None:  # let go of: nobody sees it any more
            return tensor
        if self._must_stay(base, held):
            for view in memory.stale_after_copy(base):
                self.env.pop(view, None)
            self.env[base] = held.clone()
            tensor = self.tensor(value)
        if tensor.requires_grad and tensor.is_leaf:
            tensor = self.env[value] = tensor.detach()  # a view that cuts the gradient
        elif self._differentiate:
            # Of several views that were made together, autograd writes to none, and takes none of a changed base.
            together = [view for view in memory.views.get(base, ()) if memory.is_one_of_several(view)]
            for view in together:
                self.env.pop(view, None)
            if value in together:
                place = tensor.shape, tensor.stride(), tensor.storage_offset()
                tensor = self.env[value] = self.env[base].as_strided(*place)
        return tensor

    def _must_stay(self, base: Value, held: torch.Tensor) -> bool:
        """Whether the old version is still needed when a new one is made."""
        if base in self._memory.borrowed or self._known.get(base) is held:
            return True
        return self._differentiate and (base in self._memory.read or (held.requires_grad and held.is_leaf))

    def _place_leaf(self, value: Value, start: torch.Tensor) -> torch.Tensor:
        if value in self._overrides and value not in self.start_from:
            made = self._overriding(value)
        else:
            converted_leaf = (
                self._convert(start) if start.numel() <= LARGE else self._convert_large(value, start)
            )
            made = self._varied(value, converted_leaf)
            if made is converted_leaf or same_memory(made, start):
                made = made.detach()
                if made.numel() > LARGE or same_memory(made, start):
                    self._memory.borrowed.add(value)
        if self._differentiate and differentiable(made) and value not in self._undifferentiated:
            made = made.detach().requires_grad_()
        self.env[value] = made
        return made

    def _overriding(self, value: Value) -> torch.Tensor:
        given = self._overrides[value].detach()
        made = self._varied(value, self._convert(given))
        if same_memory(made, given):
            self._memory.borrowed.add(value)
        return made.detach()

    def _varied(self, value: Value, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if self.variation is None else self.variation.leaf(value, tensor)

    def _convert(self, tensor: torch.Tensor) -> torch.Tensor:
        return converted(tensor, tensor.dtype if self._own_types else self.dtype)

    def _convert_large(self, value: Value, start: torch.Tensor) -> torch.Tensor:
        """One conversion of a large leaf serves all runs that there are at a time."""
        dtype = start.dtype if self._own_types else self.dtype
        key = id(start), start._version, dtype
        made = _converted.get(key)
        if made is None:
            made = self._convert(start)
            if made is start:
                return made
            made._converted_from = start  # type: ignore[attr-defined]  # so that no other has its id meanwhile
            _converted[key] = made
        self._held[value] = made
        return made

    def release(self) -> None:
        """Let go of all tensors."""
        self.env.clear()
        self._held.clear()
        self.start_from = {}

    # -- nodes ---------------------------------------------------------------------------------------------------

    def run(
        self,
        ops: Iterable[Op],
        earlier: Mapping[int, EarlierVersion] | None = None,
        carried: Mapping[int, list[Carried]] | None = None,
    ) -> None:
        """`earlier` says which versions to keep as what, before which op, and `carried` what is another value for those
        who read it from an op on."""
        kept, others = earlier or {}, carried or {}
        whole: dict[Value, torch.Tensor] = {}
        with default_dtype(self.dtype):
            for op in ops:
                if op.index in kept:
                    self._keep(kept[op.index])
                for value in others.get(op.index, ()):
                    now = as_of_now(value)
                    if now in self.env and self.env[now].requires_grad:
                        whole.setdefault(now, self.env[now])
                        self.env[value] = self.env[now] = self.env[now].clone()
                self._step_or_break(op)
        self.env.update(whole)

    def _keep(self, version: EarlierVersion) -> None:
        value = as_of_now(version)
        if value in self.broken or self._memory.base_of(value) is not value:
            return
        tensor = self.tensor(value)
        if tensor.requires_grad:
            self.env[version] = tensor
            self._memory.read.add(value)  # the next one is made in a copy

    def step(self, op: Op) -> None:
        """Run one op again; a failure marks its results as broken, with the reason."""
        if torch.get_default_dtype() is self.dtype:
            self._step_or_break(op)
            return
        with default_dtype(self.dtype):
            self._step_or_break(op)

    def perform(self, op: Op) -> None:
        """Make the recorded call, for a patch that does it as well. Errors are raised."""
        self._execute(node_of(op))

    def _step_or_break(self, op: Op) -> None:
        check_time()
        try:
            if op.index not in self._skipped:
                self._execute(node_of(op))
            patch = self._patches.get(op.index)
            if patch is not None:
                patch.apply(self)
        except ReplayError as error:
            self._break(op, str(error))
        except Exception as error:
            first = str(error).strip().splitlines()[:1]
            self._break(
                op,
                f"`{op.name}` cannot be replayed in float64: {first[0] if first else type(error).__name__}",
            )

    def _break(self, op: Op, reason: str) -> None:
        for value in (*op.outputs, *op.mutated):
            self.broken[value] = reason
            self._memory.detach(value)
            self.env.pop(value, None)

    def _execute(self, node: Node) -> None:
        _HOW[node.role](self, node)

    def _nothing(self, node: Node) -> None:
        pass

    def _constant(self, node: Node) -> None:
        for value in node.outputs:
            self.tensor(value)

    def _fill(self, node: Node) -> torch.Tensor:
        target = self.writable(node.args[0])
        with torch.no_grad():
            target.copy_(self._varied(node.args[0], self._convert(node.event.extra)))
        self._set(node.out, target)
        return target

    def _rebind(self, node: Node) -> torch.Tensor:
        target, source = node.args[:2]
        made = self.tensor(source).detach()
        self.tensor(target)
        self._memory.abandon(target)
        self._memory.borrowed.discard(target)
        self._memory.add_view(target, source, node)
        return self._hold(target, made)

    def _arrive(self, node: Node) -> torch.Tensor:
        """The gradient that autograd hands on here: that of the replayed forward pass, where what was returned further
        down takes the place of the true ones."""
        if self._upstream is None:
            return self.tensor(node.out)
        handed = {value: self.tensor(gradient) for value, gradient in node.args[1:]}
        arriving = self._upstream(node, handed, self)
        # A result that the loss does not depend on has a gradient of zeros.
        found = torch.zeros_like(self._convert(node.out.data)) if arriving is None else arriving.clone()
        self._set(node.out, found)
        return found

    def _call(self, node: Node) -> Any:
        if isinstance(node.out, Value) and node.out in self._overrides and node.out not in self.env:
            return self._hold(node.out, self._overriding(node.out))
        if node.operation is DROPOUT and not self._drops:
            result = self.tensor(node.args[0])
        elif self._selects_from_large_leaf(node):
            result = self._convert(node.call(node.args[0].data, *self._decode(node.args[1:])))
        else:
            result = self._made(node)
            if node.operation is EMPTY and not self._own_types:
                # What lies there may be the very gradient of an earlier call.
                result = converted(result.zero_(), self.dtype)
        if self._differentiate:
            # Some derivatives need the arguments, some the result.
            self._memory.read.update(map(self._memory.base_of, node.inputs))
            self._memory.read.update(node.outputs)
        if node.may_alias and node.inputs and same_memory(result, self.env.get(node.inputs[0])):
            self._memory.borrowed.add(node.out)
            # A cast that does nothing here: another array all the same.
            if result is self.env.get(node.inputs[0]):
                result = result.view_as(result)
        self._set(node.out, result)
        return result

    def _view(self, node: Node) -> Any:
        if self._selects_from_large_leaf(node):
            self._memory.borrowed.add(node.out)
            return self._call(node)
        result = self._made(node)
        for value, tensor in pairs(node.out, result, strict=False):
            self._set_view_of(value, tensor, node)
        return result

    def _set_view_of(self, value: Value, tensor: torch.Tensor, node: Node) -> None:
        if value in self._overrides and value not in self.env:
            self._set(value, tensor)  # a tensor of its own
            return
        self._memory.add_view(value, node.args[0], node)
        self._hold(value, tensor)

    def _hold(self, value: Value, tensor: torch.Tensor) -> torch.Tensor:
        """What is made of numbers alone (`torch.zeros(5)`) is a leaf of the graph."""
        is_leaf = not tensor.requires_grad or value in self._stopped
        if self._differentiate and differentiable(tensor) and is_leaf:
            tensor = tensor.detach().requires_grad_()
        self.env[value] = tensor
        return tensor

    def _view_again(self, node: Node) -> None:
        if node.role is Role.REBIND:
            self._hold(node.args[0], self.tensor(node.args[1]).detach())
            return
        with default_dtype(self.dtype):
            result = self._made(node)
        for value, tensor in pairs(node.out, result, strict=False):
            if value not in self.env and self._memory.maker.get(value) is node:
                self._hold(value, tensor)

    def _write(self, node: Node) -> Any:
        old = self._read_where_it_writes(node) if self._differentiate else {}
        for value in node.writes:
            self.writable(value)
        new = {value: self.env.get(value) for value in old}
        self.env.update(old)
        result = self._made(node)
        for value, tensor in new.items():
            self.env.pop(value)
            if tensor is not None:
                self.env[value] = tensor
        if self._differentiate:
            memory = self._memory
            memory.read.update(memory.base_of(v) for v in node.inputs if v not in node.writes)
            if node.operation not in _KEEP_NOTHING:
                memory.read.update(map(memory.base_of, node.writes))
        self._set(node.out, result)
        return result

    def _read_where_it_writes(self, node: Node) -> dict[Value, torch.Tensor]:
        """What a write reads of the memory that it changes: autograd keeps the old version of that."""
        base_of = self._memory.base_of
        changed = {base_of(value) for value in node.writes}
        read = [value for value in node.inputs if value not in node.writes and base_of(value) in changed]
        self._memory.read.update(map(base_of, read))
        return {value: self.tensor(value) for value in read}

    def _made(self, node: Node) -> Any:
        if self.variation is not None:
            args, kwargs = self.variation.arguments(node)
            return node.call(*self._decode(args), **{k: self._decode(a) for k, a in kwargs.items()})
        if node.flat:
            tensor = self.tensor
            return node.call(*[tensor(a) if type(a) is Value else a for a in node.args])
        return node.call(*self._decode(node.args), **{k: self._decode(a) for k, a in node.kwargs.items()})

    def _selects_from_large_leaf(self, node: Node) -> bool:
        if node.operation is not GETITEM and node.operation is not SELECT:
            return False
        source = node.args[0] if node.args and self.variation is None else None
        return (
            isinstance(source, Value)
            and source.data is not None
            and source.data.numel() > LARGE
            and source not in self.env
            and source not in self.start_from
            and source not in self._overrides
            and not source.requires_grad
            and not (source.whole and self._differentiate)
            and not node.kwargs
            and isinstance(node.out, Value)
            and source.data.numel() > 8 * max(1, math.prod(node.out.shape))
        )

    def _decode(self, thing: Any) -> Any:
        if isinstance(thing, Value):
            return self.tensor(thing)
        kind = type(thing)
        if kind is Number:
            known = thing.source in self.env or thing.source in self._memory.maker
            return float(self.tensor(thing.source).detach()) if known else thing.was
        if kind is Precision:
            return thing.of(None if self._own_types else self.dtype)
        return rebuilt(thing, self._decode)

    def _set(self, out: Any, result: Any) -> None:
        if not isinstance(out, Value):
            for value, tensor in pairs(out, result, strict=False):
                self._set(value, tensor)
        elif isinstance(result, torch.Tensor):
            replaced = out in self._overrides and out not in self.env
            self._hold(out, self._overriding(out) if replaced else result)


_HOW: dict[Role, Callable[[Runner, Node], Any]] = {
    Role.NOTHING: Runner._nothing,
    Role.CONSTANT: Runner._constant,
    Role.CALL: Runner._call,
    Role.VIEW: Runner._view,
    Role.WRITE: Runner._write,
    Role.FILL: Runner._fill,
    Role.REBIND: Runner._rebind,
    Role.ARRIVE: Runner._arrive,
}
