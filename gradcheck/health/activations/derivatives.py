"""Where a non-linearity is flat: by its result, and by its argument where that is still there."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from gradcheck.graph.match.functions import Nonlinearity

# The gain that keeps the spread of activations from layer to layer: torch.nn.init.calculate_gain and its sources.
GAINS = {
    Nonlinearity.TANH: 5 / 3,
    Nonlinearity.SIGMOID: 1.0,
    Nonlinearity.RELU: math.sqrt(2),
    Nonlinearity.RELU6: math.sqrt(2),
    Nonlinearity.SELU: 0.75,
}
ONE_SIDED = (Nonlinearity.RELU, Nonlinearity.LEAKY_RELU)
_SIGMOID_LIKE = (Nonlinearity.TANH, Nonlinearity.SIGMOID)
_FLAT_BELOW = (
    Nonlinearity.ELU, Nonlinearity.SELU, Nonlinearity.SILU, Nonlinearity.SOFTPLUS, Nonlinearity.MISH,
)  # fmt: skip
_OFF: dict[Nonlinearity, Callable[[torch.Tensor, float], torch.Tensor]] = {
    Nonlinearity.TANH: lambda y, epsilon: 1 - y * y <= epsilon,
    Nonlinearity.SIGMOID: lambda y, epsilon: y * (1 - y) <= epsilon,
    Nonlinearity.RELU: lambda y, _: y <= 0,
    Nonlinearity.LEAKY_RELU: lambda y, _: y < 0,
    Nonlinearity.RELU6: lambda y, _: (y <= 0) | (y >= 6),
    Nonlinearity.HARDTANH: lambda y, _: y.abs() >= 1,
}


def gain(function: Nonlinearity, slope: float) -> float | None:
    if function is Nonlinearity.LEAKY_RELU:
        return math.sqrt(2 / (1 + slope**2))
    return GAINS.get(function)


def saturates(function: Nonlinearity) -> bool:
    return function in _SIGMOID_LIKE


@dataclass(frozen=True, slots=True)
class Limits:
    """`tanh` is the limit for abs(tanh(z)), `argument` that for abs(z). A sigmoid is a tanh of half its argument,
    squeezed into 0 to 1, so both limits hold for it too."""

    tanh: float
    argument: float


def saturated(function: Nonlinearity, output: torch.Tensor, limits: Limits) -> torch.Tensor | None:
    if function is Nonlinearity.TANH:
        return output.abs() > limits.tanh
    if function is Nonlinearity.SIGMOID:
        return (2 * output - 1).abs() > limits.tanh
    return None


def beyond(function: Nonlinearity, argument: torch.Tensor | None, limits: Limits) -> torch.Tensor | None:
    if argument is None or not saturates(function):
        return None
    return argument.abs() > (limits.argument if function is Nonlinearity.TANH else 2 * limits.argument)


def off(function: Nonlinearity, output: torch.Tensor, argument: torch.Tensor | None) -> torch.Tensor | None:
    """Where the derivative is 0 or less than the epsilon of the dtype; for a leaky relu, its negative side. None
    if that is not known."""
    epsilon = torch.finfo(output.dtype).eps
    if (by_result := _OFF.get(function)) is not None:
        return by_result(output, epsilon)
    if argument is None:
        return None
    if function in _FLAT_BELOW:  # the derivative falls with exp(z), or abs(z) * exp(z)
        return argument < math.log(epsilon) - 4
    if function is Nonlinearity.GELU:  # with exp(-z**2 / 2)
        return argument < -math.sqrt(-2 * math.log(epsilon)) - 1
    return None
