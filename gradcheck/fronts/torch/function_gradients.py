"""The gradients that autograd hands to the `backward` of a custom Function, and those it gets back for each argument."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction

from gradcheck.fronts.control import Control
from gradcheck.fronts.markers import ONLY_THROUGH_THESE, returned_gradient, upstream_gradient, view_as
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.fronts.torch.function_calls import Call, FunctionCalls
from gradcheck.fronts.torch.values import Values
from gradcheck.ops import DETACH, NO_COMPUTATION

_MOST_NODES = 20_000
_Pairs = list[tuple[Value, Value]]  # a value and its gradient


class FunctionGradients:
    def __init__(self, control: Control, values: Values, calls: FunctionCalls) -> None:
        self._follower = control.follower
        self._values = values
        self._calls = calls

    def arrived(self, call: Call, gradients: Any, frame: FrameType) -> None:
        """`backward` is about to be called with these upstream gradients."""
        for output, gradient in zip(call.outputs, gradients, strict=False):
            if output is not None and isinstance(gradient, torch.Tensor):
                self._upstream((output, *call.upstream), gradient, frame).autograd_of = output

    def returned(self, call: Call, context: Any, result: Any, frame: FrameType) -> None:
        """`backward` has returned `result`."""
        gradients = result if isinstance(result, (tuple, list)) else (result,)
        at = _At(self._calls, self._follower.put, frame, self._follower.tracer.last_return)
        handed: dict[Value, list[tuple[int, Value]]] = {}
        needed = context.needs_input_grad
        taken: set[Value] = set()
        for position, of in call.inputs.items():
            if position >= len(gradients) or position >= len(needed) or not needed[position]:
                continue
            gradient = gradients[position]
            if gradient is None:
                value = at.value(torch.zeros_like, (of,), position, of.shape)
            elif isinstance(gradient, torch.Tensor):
                value = self._values.value_of(gradient)
                passed_on = value.producer is None or value.producer.kind is Kind.UPSTREAM
                if value in taken or passed_on or not _after(value, call):
                    value = at.value(view_as, (value,), position, value.shape)
                taken.add(value)
            else:
                continue
            handed.setdefault(of, []).append((position, value))
        pairs: _Pairs = []
        for of, parts in handed.items():
            position, value = parts[0]
            for _, other in parts[1:]:  # one tensor as several arguments: its gradient is their sum
                value = at.value(torch.add, (value, other), position, value.shape)
            op = at.put(returned_gradient, Kind.RETURNED, (of, value))
            op.extra = (call.name, call.arguments[position])
            pairs.append((of, value))
        if pairs:
            for node, _ in context.next_functions:
                self._pass_on(node, pairs)

    def seeded(self, root: Value, gradient: Value) -> None:
        """Autograd is given this gradient to begin with."""
        if self._calls.of_context and root.shape:
            self._pass_on(_made_by(root), [(root, gradient)])

    def leaves_without(self, roots: list[Value]) -> list[tuple[torch.Tensor, Value]]:
        """The leaves of their graph that were detached from another one, and that have no gradient yet."""
        leaves = [getattr(node, "variable", None) for node in _graph([_made_by(root) for root in roots])]
        known = [(leaf, self._values.known_value(leaf)) for leaf in leaves if leaf is not None]
        return [(leaf, of) for leaf, of in known if leaf.grad is None and of is not None and _is_detached(of)]

    def vector_jacobian(self, of: Value, gradient: torch.Tensor, seeds: _Pairs, frame: FrameType) -> None:
        """`torch.autograd.grad(outputs, of, seeds)`: the gradient that follows from those of the outputs."""
        self._upstream((of, *seeds), gradient, frame, extra=ONLY_THROUGH_THESE)

    def _upstream(
        self, args: tuple[Any, ...], gradient: torch.Tensor, frame: FrameType, extra: str | None = None
    ) -> Value:
        op = self._calls.op(upstream_gradient, Kind.UPSTREAM, args, frame)
        op.extra = extra
        value = self._values.new_value(gradient, op)
        op.out = value
        self._values.keep_leaf(value, gradient)
        self._follower.put(op, frame)
        return value

    def _pass_on(self, start: Any, pairs: _Pairs) -> None:
        """The nearest Functions towards the inputs get their own gradients from what was returned."""
        calls = self._calls.of_context
        for node in _graph([start], lambda node: isinstance(node, BackwardCFunction) and node in calls):
            call = calls.get(node) if isinstance(node, BackwardCFunction) else None
            if call is not None:
                call.upstream += [pair for pair in pairs if pair not in call.upstream]


def _made_by(value: Value) -> Any:
    """The node of autograd's graph that gave it."""
    held = value.reference() if value.reference is not None else None
    return None if held is None else held.grad_fn


def _is_detached(value: Value) -> bool:
    """Whether autograd does not go on from there, although it was computed from something."""
    made = value.producer
    while made is not None and made.grad_enabled and made.operation in NO_COMPUTATION - {DETACH}:
        made = made.inputs[0].producer if made.inputs else None
    return made is not None and (not made.grad_enabled or made.operation is DETACH)


def _graph(start: list[Any], ends: Callable[[Any], bool] = lambda node: False) -> Iterator[Any]:
    """The nodes of autograd's graph from there towards the inputs, up to those at which a way `ends`."""
    seen: set[Any] = {None}
    pending = start
    while pending and len(seen) < _MOST_NODES:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if not ends(node):
            pending += [following for following, _ in node.next_functions]


@dataclass
class _At:
    """Writes ops at the return statement of a `backward`, if `place` tells where that is, or else where `frame` is."""

    _calls: FunctionCalls
    _put: Callable[[Op, FrameType | None], None]
    _frame: FrameType
    _place: tuple[CodeType, int, int] | None

    def put(self, func: Callable[..., Any], kind: Kind, args: tuple[Value, ...]) -> Op:
        op = self._calls.op(func, kind, args, self._frame)
        if self._place is not None:
            op.code, op.lasti, op.scope = self._place
        self._put(op, None if self._place is not None else self._frame)
        return op

    def value(
        self, func: Callable[..., Any], args: tuple[Value, ...], position: int, shape: tuple[int, ...]
    ) -> Value:
        """A value that is returned at `position` and that no call of the person's made."""
        op = self.put(func, Kind.PURE, args)
        op.extra = position
        value = op.out = Value(op, op.index, shape)
        return value


def _after(value: Value, call: Call) -> bool:
    """Whether a value was made in the backward pass, and not by the forward pass."""
    made = max((v.birth for v in call.outputs if v is not None), default=0)
    return value.producer is not None and value.producer.index > made
