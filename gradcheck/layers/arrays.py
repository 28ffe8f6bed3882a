"""What a layer computes with: torch's tensors, or NumPy's arrays where the layer is written in those."""

import builtins
from functools import reduce
from types import FrameType
from typing import Any

import numpy as np
import torch

from gradcheck.fronts import arrays
from gradcheck.fronts.numpy.memory import tensor_of
from gradcheck.program.array_calls import HOOKS

_NEARLY = 1e-6


def numpy_counts() -> bool:
    return arrays.are_of_numpy()


def array_word() -> str:
    """What the person calls it."""
    return "array" if numpy_counts() else "tensor"


def is_array(thing: Any) -> bool:
    return isinstance(thing, arrays.KINDS)


def is_floating(thing: Any) -> bool:
    if isinstance(thing, torch.Tensor):
        return thing.is_floating_point() or thing.is_complex()
    return is_array(thing) and thing.dtype.kind in "fc"


def as_tensor(array: Any) -> torch.Tensor | None:
    """In the same memory, where that can be; None for what torch has no type for."""
    return array if isinstance(array, torch.Tensor) else tensor_of(array)


def as_layer_takes_it(drawn: torch.Tensor) -> Any:
    return drawn.numpy() if numpy_counts() else drawn


def default_dtype() -> torch.dtype:
    return torch.float64 if numpy_counts() else torch.get_default_dtype()


def random_like(output: Any, seed: int) -> Any:
    """Drawn from a generator of its own."""
    if isinstance(output, torch.Tensor):
        generator = torch.Generator().manual_seed(seed)
        dtype = torch.complex128 if output.is_complex() else torch.float64
        return torch.randn(output.shape, generator=generator, dtype=dtype, device="cpu").to(output)
    made = np.random.default_rng(seed).standard_normal(output.shape)
    return np.asarray(made).astype(output.dtype)[()] if not output.shape else made.astype(output.dtype)


def ones_like(output: Any) -> Any:
    return torch.ones_like(output) if isinstance(output, torch.Tensor) else np.ones_like(output)[()]


def targets_like(output: Any, seed: int) -> list[Any]:
    """What an output may be compared with: numbers, which are shares where it has shares; or a class for each row or column."""
    shares = abs(random_like(output, seed))
    for axis in range(output.ndim):
        if bool((abs(output.sum(axis) - 1) < _NEARLY).all()):
            shares = shares / shares.sum(axis)[(slice(None),) * axis + (None,)]
    sizes = list(zip(output.shape, reversed(output.shape), strict=True))[:2]
    sizes.sort(key=lambda each: each[1] == 1)  # of one class alone, last
    classes = [(most - 1 - torch.arange(count)) % most for count, most in sizes]
    return [shares, *(each if isinstance(output, torch.Tensor) else each.numpy() for each in classes)]


def no_gradient(output: Any) -> Any:
    """What autograd hands over for an output that is not differentiable: zeros. They are drawn, below 1, as an upstream
    gradient is: what is drawn is no gradient that a line of the person's could have got wrong."""
    if not isinstance(output, torch.Tensor):
        return None
    drawn = torch.randint(0, 1, output.shape, generator=torch.Generator(), dtype=output.dtype)
    return drawn.to(output.device)


def view_of(array: Any, frame: FrameType | None) -> Any:
    """The same elements as something else; written down as done in `frame`."""
    if isinstance(array, torch.Tensor):
        return array.view_as(array)
    return getattr(builtins, HOOKS).view_of(array, frame)


def as_array(result: Any) -> Any:
    """What `forward` returned, where it is one of Python's own numbers: `return float(loss)`."""
    if type(result) is not float or not numpy_counts():
        return result
    array = np.float64(result)
    getattr(builtins, HOOKS).same_number(result, array)
    return array


def reduced(output: Any, how: str, frame: FrameType | None) -> Any:
    """Its "mean" or "sum"; written down as done in `frame`."""
    if isinstance(output, torch.Tensor):
        return getattr(output, how)()
    return getattr(builtins, HOOKS).reduced(output, getattr(np, how), frame)


def sum_of_products(outputs: list[Any], others: list[Any], frame: FrameType | None) -> Any:
    """`(output * other).sum()`, of all of them; what is computed with arrays is written down as done in `frame`."""
    if isinstance(outputs[0], torch.Tensor):
        pairs = zip(outputs, others, strict=True)
        parts = [(out * up.conj()).sum().real if out.is_complex() else (out * up).sum() for out, up in pairs]
        return reduce(torch.add, parts)
    hooks = getattr(builtins, HOOKS)
    parts = [
        hooks.sum_of_product(output, other, frame) for output, other in zip(outputs, others, strict=True)
    ]
    return reduce(lambda a, b: hooks.added(a, b, frame), parts)
