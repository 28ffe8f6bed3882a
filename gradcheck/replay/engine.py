"""Runs recorded ops again, in another precision.

A replay keeps one tensor per recorded `Value` and makes the same calls on them, in the same order, so views stay
views and in-place changes reach everything they reached. What a call draws at random, and what came from
outside, stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from gradcheck.fronts.tape import Kind, Number, Op, Value, function_name
from gradcheck.fronts.torch.functions import ONLY_THROUGH_THESE
from gradcheck.replay.compare import differentiable

_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_COMPLEX_OF = {torch.float32: torch.complex64, torch.float64: torch.complex128}
_NOT_REPLAYED = (
    Kind.ESCAPE,
    Kind.BACKWARD,
    Kind.GRAD_WRITE,
    Kind.GRAD_READ,
    Kind.RANDOM,
    Kind.RETURNED,
)
_CASTS = {"float", "half", "double", "bfloat16"}
_SELECTS = {"__getitem__", "getitem", "index_select", "select", "narrow"}
# Above this many elements a leaf that is only selected from is not converted whole.
_LARGE = 100_000


class ReplayError(Exception):
    """An op could not be replayed; the message says which and why."""


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class Patch(Protocol):
    """One execution of a statement or expression of the person's, done in another way.

    `skipped` are the ops it stands in for; it is applied after op `after` (or in its place, if that is skipped),
    reads the tensors of `reads` and puts what it computed into the replay.
    """

    @property
    def after(self) -> int: ...

    @property
    def skipped(self) -> frozenset[int]: ...

    @property
    def reads(self) -> tuple[Value, ...]: ...

    def apply(self, replay: Replay) -> None: ...


# (a forward value, the gradients that were returned further down and for which values, whether only those lead
# there) -> what arrives there
Upstream = Callable[[Value, Mapping[Value, torch.Tensor], bool], torch.Tensor | None]


class Replay:
    """`dtype` replaces every floating dtype. `overrides` replaces the value of some `Value`s as soon as they are
    made. `differentiable` leaves are given `requires_grad`. `known` tensors are there from the start. `patches` maps
    the index of an op to what is to be done after it. `upstream` tells what autograd hands to a Function's `backward`."""

    def __init__(
        self,
        dtype: torch.dtype,
        *,
        overrides: dict[Value, torch.Tensor] | None = None,
        mutated: set[Value] | None = None,
        differentiate: bool = False,
        autograd_truth: dict[Value, torch.Tensor] | None = None,
        start_from: dict[Value, torch.Tensor] | None = None,
        known: dict[Value, torch.Tensor] | None = None,
        patches: Mapping[int, Patch] | None = None,
        upstream: Upstream | None = None,
    ) -> None:
        self.dtype = dtype
        self.env: dict[Value, torch.Tensor] = dict(known or {})
        self._patches = patches or {}
        self._skipped = {index for patch in self._patches.values() for index in patch.skipped}
        self.broken: dict[Value, str] = {}
        self._overrides = overrides or {}
        self._mutated = mutated if mutated is not None else set()
        self._differentiate = differentiate
        self._autograd_truth = autograd_truth or {}
        self._start_from = start_from or {}
        self._upstream = upstream

    def tensor(self, value: Value) -> torch.Tensor:
        """The replayed tensor of `value`, made from the recorded leaf at first use."""
        found = self.env.get(value)
        if found is not None:
            return found
        if value in self.broken:
            raise ReplayError(self.broken[value])
        start = self._start_from.get(value)
        if start is None:
            if value.autograd_of is not None and value.autograd_of in self._autograd_truth:
                start = self._autograd_truth[value.autograd_of]
            else:
                start = value.data
        if start is None:
            raise ReplayError("a value whose making was not recorded")
        return self._place_leaf(value, start)

    def _place_leaf(self, value: Value, start: torch.Tensor) -> torch.Tensor:
        made = self._convert(start)
        if made is start or made.data_ptr() == start.data_ptr():
            made = (
                made.detach().clone() if value.root in self._mutated or self._differentiate else made.detach()
            )
        if value in self._overrides and value not in self._start_from:
            made = self._overriding(value)
        if self._differentiate and differentiable(made):
            made = made.detach().requires_grad_()
            if value.root in self._mutated:
                made = made.clone()  # autograd refuses to change a leaf in place
        self.env[value] = made
        return made

    def _overriding(self, value: Value) -> torch.Tensor:
        tensor = self._overrides[value].detach()
        return self._convert(tensor).clone()

    def _convert(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.device.type != "cpu":
            tensor = tensor.cpu()
        if tensor.is_sparse:
            tensor = tensor.to_dense()
        if tensor.is_floating_point():
            return tensor.to(self.dtype)
        if tensor.is_complex():
            return tensor.to(_COMPLEX_OF.get(self.dtype, torch.complex128))
        return tensor

    def run(self, ops: Iterable[Op]) -> None:
        with default_dtype(self.dtype):
            for op in ops:
                self._step_or_break(op)

    def step(self, op: Op) -> None:
        """Replay one op; a failure marks its results as broken, with the reason."""
        with default_dtype(self.dtype):
            self._step_or_break(op)

    def _step_or_break(self, op: Op) -> None:
        try:
            if op.index not in self._skipped:
                self._step(op)
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

    def perform(self, op: Op) -> None:
        """Make the recorded call, for a patch that stands for it and does it as well. Errors are raised."""
        self._step(op)

    def put(self, value: Value, tensor: torch.Tensor) -> None:
        """Let `tensor` stand for `value` from here on."""
        self.broken.pop(value, None)
        self.env[value] = tensor

    def _break(self, op: Op, reason: str) -> None:
        for value in (*op.outputs, *op.mutated):
            self.broken[value] = reason
            self.env.pop(value, None)

    def _step(self, op: Op) -> None:
        kind = op.kind
        if kind is Kind.UPSTREAM:
            self._arrive(op)
            return
        if kind in _NOT_REPLAYED:
            if kind is Kind.RANDOM:
                for value in op.outputs:
                    self.tensor(value)
            return
        if kind is Kind.RANDOM_MUTATE:
            target = self.tensor(op.args[0])
            with torch.no_grad():
                target.copy_(self._convert(op.extra))
            self._set(op.out, target)
            return
        if kind is Kind.DATA_WRITE:
            self.tensor(op.args[0]).data = self.tensor(op.args[1]).data
            return
        inputs = op.inputs
        if (
            kind in (Kind.PURE, Kind.CREATE)
            and isinstance(op.out, Value)
            and any(op.out is v for v in inputs)
        ):
            return  # handed back the very tensor it was given
        if kind is Kind.PURE and self._selects_from_large_leaf(op):
            self._set(op.out, self._convert(op.func(op.args[0].data, *self._decode(op.args[1:]))))
            return
        args = self._decode(op.args)
        kwargs = self._decode(op.kwargs) if op.kwargs else {}
        if kind is Kind.DROPOUT:
            result = self._dropout(op, args, kwargs)
        else:
            result = self._call(op, args, kwargs)
        self._set(op.out, result)

    def _arrive(self, op: Op) -> None:
        """The gradient that autograd hands on here: that of the replayed forward pass, where what was returned further
        down takes the place of the true ones."""
        of, handed = op.args[0], op.args[1:]
        if self._upstream is not None:
            only = op.extra == ONLY_THROUGH_THESE
            arriving = self._upstream(of, {value: self.tensor(gradient) for value, gradient in handed}, only)
            # A result that the loss does not depend on has a gradient of zeros.
            found = torch.zeros_like(self._convert(op.out.data)) if arriving is None else arriving.clone()
            self._set(op.out, found)
        else:
            self.tensor(op.out)

    def _call(self, op: Op, args: Any, kwargs: dict[str, Any]) -> Any:
        return call_in_precision(op.func, args, kwargs, self.dtype)

    def _selects_from_large_leaf(self, op: Op) -> bool:
        if op.name not in _SELECTS or not op.args or not isinstance(op.args[0], Value):
            return False
        source = op.args[0]
        return (
            source.data is not None
            and source not in self.env
            and source not in self._start_from
            and source not in self._overrides
            and source.data.numel() > _LARGE
            and not source.requires_grad
            and source.root not in self._mutated
            and not op.kwargs
            and isinstance(op.out, Value)
            and source.data.numel() > 8 * max(1, _numel(op.out.shape))
        )

    def _dropout(self, op: Op, args: Any, kwargs: dict[str, Any]) -> Any:
        """The recorded mask, drawn again from the recorded random state on ones of the recorded shape."""
        if op.name in ("alpha_dropout", "feature_alpha_dropout", "native_dropout"):
            raise ReplayError(f"`{op.name}` cannot be replayed: its mask is not known")
        source, rest = args[0], args[1:]
        now = torch.get_rng_state()
        try:
            torch.set_rng_state(op.extra)
            plain = {k: v for k, v in kwargs.items() if k not in ("inplace", "input")}
            with torch.no_grad():
                ones = torch.ones(source.shape, dtype=torch.float32)
                kept = op.func(ones, *rest[:2], **plain) != 0
        finally:
            torch.set_rng_state(now)
        # The factor is rounded as a program in this precision rounds it.
        probability = kwargs.get("p", rest[0] if rest else 0.5)
        return source * (kept.to(source.dtype) / (1 - probability))

    def _decode(self, thing: Any) -> Any:
        if isinstance(thing, Value):
            return self.tensor(thing)
        if isinstance(thing, Number):
            if thing.source in self.env:
                return float(self.env[thing.source].detach())
            return thing.was
        kind = type(thing)
        if kind is tuple or kind is list:
            return kind([self._decode(x) for x in thing])
        if kind is dict:
            return {key: self._decode(x) for key, x in thing.items()}
        if kind is slice:
            return slice(self._decode(thing.start), self._decode(thing.stop), self._decode(thing.step))
        return in_precision(thing, self.dtype)

    def _set(self, out: Any, result: Any) -> None:
        if isinstance(out, Value):
            if isinstance(result, torch.Tensor):
                if out in self._overrides and out not in self.env:
                    result = self._overriding(out)
                    if self._differentiate and differentiable(result):
                        result = result.requires_grad_()
                        if out.root in self._mutated:
                            result = result.clone()
                elif self._differentiate and differentiable(result) and not result.requires_grad:
                    # Made of numbers alone (`torch.zeros(5)`): a leaf of the graph.
                    result = result.detach().requires_grad_()
                    if out.root in self._mutated:
                        result = result.clone()
                self.env[out] = result
        elif isinstance(out, tuple) and isinstance(result, (tuple, list)):
            for o, r in zip(out, result, strict=False):
                self._set(o, r)


def in_precision(thing: Any, dtype: torch.dtype) -> Any:
    """An argument that names a floating dtype or a device, as it is in a replay in `dtype` on the CPU."""
    if isinstance(thing, torch.dtype):
        if thing in _FLOATS:
            return dtype
        return _COMPLEX_OF.get(dtype, thing) if thing.is_complex else thing
    if isinstance(thing, torch.device) or (isinstance(thing, str) and thing.split(":")[0] in _DEVICES):
        return torch.device("cpu")
    if isinstance(thing, str) and thing in _TYPE_NAMES:
        return dtype
    if isinstance(thing, type) and thing.__name__ in _TYPE_CLASSES:
        return dtype
    return thing


def call_in_precision(func: Callable[..., Any], args: Any, kwargs: dict[str, Any], dtype: torch.dtype) -> Any:
    """The call, but that a cast to another floating dtype or a move to a device leaves a tensor as it is."""
    name = function_name(func)
    if name in _CASTS and len(args) == 1 and isinstance(args[0], torch.Tensor):
        return args[0].to(dtype)
    if name in ("cuda", "cpu", "xpu", "mps") and args and isinstance(args[0], torch.Tensor):
        return args[0]
    return func(*args, **kwargs)


_DEVICES = {"cuda", "mps", "xpu"}
_TYPE_NAMES = {"torch.FloatTensor", "torch.DoubleTensor", "torch.HalfTensor", "torch.cuda.FloatTensor"}
_TYPE_CLASSES = {"FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor"}


def _numel(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
