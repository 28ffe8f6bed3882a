"""Which function a program computes element by element, found from its values on a grid."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch


class Nonlinearity(StrEnum):
    TANH = "tanh"
    SIGMOID = "sigmoid"
    RELU = "relu"
    LEAKY_RELU = "leaky relu"
    RELU6 = "relu6"
    HARDTANH = "hardtanh"
    ELU = "elu"
    SELU = "selu"
    GELU = "gelu"
    SILU = "silu"
    SOFTPLUS = "softplus"
    SOFTSIGN = "softsign"
    MISH = "mish"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Recognised:
    """`slope` is that of a leaky relu below zero."""

    function: Nonlinearity
    slope: float = 0.0


# A hand-written formula may hold an epsilon, or lose digits where it subtracts large numbers.
_TOLERANCE = 1e-5
_FUNCTIONS: tuple[tuple[Nonlinearity, Callable[[torch.Tensor], torch.Tensor]], ...] = (
    (Nonlinearity.TANH, torch.tanh),
    (Nonlinearity.SIGMOID, torch.sigmoid),
    (Nonlinearity.RELU, torch.relu),
    (Nonlinearity.RELU6, torch.nn.functional.relu6),
    (Nonlinearity.HARDTANH, torch.nn.functional.hardtanh),
    (Nonlinearity.SELU, torch.selu),
    (Nonlinearity.GELU, torch.nn.functional.gelu),
    (Nonlinearity.GELU, lambda z: torch.nn.functional.gelu(z, approximate="tanh")),
    (Nonlinearity.GELU, lambda z: z * torch.sigmoid(1.702 * z)),
    (Nonlinearity.SILU, torch.nn.functional.silu),
    (Nonlinearity.SOFTPLUS, torch.nn.functional.softplus),
    (Nonlinearity.SOFTSIGN, torch.nn.functional.softsign),
    (Nonlinearity.MISH, torch.nn.functional.mish),
)


def recognise(argument: torch.Tensor, result: torch.Tensor) -> Recognised | None:
    """The function that takes `argument` to `result`, both float64 and flat; None if it is none of those known."""
    if not bool(torch.isfinite(result).all()) or not bool((argument > 0).any() and (argument < 0).any()):
        return None
    for function, compute in _FUNCTIONS:
        if _close(compute(argument), result):
            return Recognised(function)
    return _piecewise(argument, result)


def _piecewise(argument: torch.Tensor, result: torch.Tensor) -> Recognised | None:
    """Functions with a number in them: leaky relu and elu."""
    below = argument < 0
    if not _close(argument[~below], result[~below]):
        return None
    lowest = argument.argmin()
    slope = float(result[lowest] / argument[lowest])
    if 0 < slope < 1 and _close(slope * argument[below], result[below]):
        return Recognised(Nonlinearity.LEAKY_RELU, slope)
    floor = float(result[lowest]) / math.expm1(float(argument[lowest]))
    if floor > 0 and _close(floor * torch.expm1(argument[below]), result[below]):
        return Recognised(Nonlinearity.ELU)
    return None


def is_affine(argument: torch.Tensor, result: torch.Tensor) -> bool:
    """Whether `result` is `a * argument + b`."""
    first, last = argument.argmin(), argument.argmax()
    slope = (result[last] - result[first]) / (argument[last] - argument[first])
    return _close(result[first] + slope * (argument - argument[first]), result)


def is_constant(result: torch.Tensor) -> bool:
    return bool((result == result[0]).all())


def _close(expected: torch.Tensor, found: torch.Tensor) -> bool:
    scale = float(expected.abs().amax()) if expected.numel() else 0.0
    return bool(((expected - found).abs() <= _TOLERANCE * max(1.0, scale)).all())
