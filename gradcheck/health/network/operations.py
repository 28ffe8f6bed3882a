"""What a recorded op does, as far as recognising layers needs it: by what it computes, whatever spelling was used."""

from __future__ import annotations

from typing import Any

import torch

from gradcheck.fronts.tape import Op, Value

_ADDS = {"add", "radd", "iadd", "sub", "rsub", "isub", "subtract"}
_MULTIPLIES = {"mul", "rmul", "imul", "multiply"}
_DIVIDES = {"div", "idiv", "divide", "truediv", "itruediv", "true_divide"}
_DIVIDES_BY = {"rdiv", "rtruediv", "reciprocal"}
_KEEPS = {
    "clone", "contiguous", "detach", "data", "float", "double", "half", "bfloat16", "to", "type", "type_as", "cuda",
    "cpu", "requires_grad_", "positive", "view", "reshape", "flatten", "view_as", "reshape_as", "unflatten",
}  # fmt: skip
_NONLINEAR = {"pow", "ipow", "power", "float_power", "square", "abs", "absolute"}
_EXPANDS = {"expand", "expand_as", "broadcast_to", "repeat"}
_REDUCES = {
    "sum", "mean", "var", "std", "var_mean", "std_mean", "nansum", "nanmean", "norm", "vector_norm", "median",
    "nanmedian", "amax", "amin",
}  # fmt: skip
_PRODUCTS = {"matmul", "rmatmul", "mm", "linear", "addmm", "bmm", "conv1d", "conv2d", "conv3d", "dot"}


def plain_name(op: Op) -> str:
    """`add` for `+`, `add_`, `+=` and `np.add`."""
    return op.name.strip("_")


def adds(op: Op) -> bool:
    return plain_name(op) in _ADDS


def multiplies(op: Op) -> bool:
    return plain_name(op) in _MULTIPLIES


def divides(op: Op) -> bool:
    """Divides its first argument by its second."""
    return plain_name(op) in _DIVIDES


def divides_by(op: Op) -> bool:
    """Divides something by its first argument."""
    return plain_name(op) in _DIVIDES_BY


def negates(op: Op) -> bool:
    return plain_name(op) in ("neg", "negative")


def keeps(op: Op) -> bool:
    """Hands on the numbers it was given, perhaps in another shape or type."""
    return plain_name(op) in _KEEPS


def is_nonlinear(op: Op) -> bool:
    return plain_name(op) in _NONLINEAR


def expands(op: Op) -> bool:
    return plain_name(op) in _EXPANDS


def is_product(op: Op) -> bool:
    return plain_name(op) in _PRODUCTS


def reduced_axes(op: Op) -> tuple[int, ...] | None:
    """The axes that a sum, mean, variance or the like goes over; None for any other op."""
    if plain_name(op) not in _REDUCES or not op.args or not isinstance(op.args[0], Value):
        return None
    rank = len(op.args[0].shape)
    kwargs = op.kwargs or {}
    axes = kwargs.get("dim", kwargs.get("axis"))
    if axes is None:
        # `norm(p, dim)` has something else in front.
        place = 2 if plain_name(op) in ("norm", "vector_norm") else 1
        given = op.args[place] if len(op.args) > place else None
        axes = given if not isinstance(given, bool) else None
    if axes is None or axes == () or axes == []:
        return tuple(range(rank))
    axes = (axes,) if isinstance(axes, int) else axes
    if not all(isinstance(axis, int) for axis in axes):
        return None
    return tuple(sorted(axis % rank for axis in axes)) if rank else ()


def batch_norm_call(op: Op) -> BatchNormCall | None:
    """The arguments of torch's own batch normalisation, in either of its two orders."""
    if plain_name(op) != "batch_norm":
        return None
    order = _BUILT_IN if op.func is torch.batch_norm else _FUNCTIONAL
    given = {**dict(zip(order, op.args, strict=False)), **(op.kwargs or {})}
    if not isinstance(given.get("input"), Value):
        return None
    return BatchNormCall(given)


_FUNCTIONAL = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
_BUILT_IN = (
    "input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps", "cudnn_enabled",
)  # fmt: skip


class BatchNormCall:
    def __init__(self, given: dict[str, Any]) -> None:
        self.input: Value = given["input"]
        self.weight: Value | None = given.get("weight")
        self.bias: Value | None = given.get("bias")
        self.running_mean: Value | None = given.get("running_mean")
        self.running_var: Value | None = given.get("running_var")
        self.training = bool(given.get("training", False))
        self.momentum = given.get("momentum", 0.1)
        self.eps = float(given.get("eps", 1e-5))
