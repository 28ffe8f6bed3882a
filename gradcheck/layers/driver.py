"""One step of a single layer: its forward pass, a loss that hands it a random upstream gradient, its backward pass.

The loss is `sum(output * upstream)`, whose gradient with respect to the output is `upstream`. A plain `sum(output)`
would hide what a layer gets wrong of a sum (batch normalisation), and a constant upstream gradient what it transposes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from gradcheck.base.errors import NothingToCheckError

_SEED = 20_240_229  # any; drawn from a generator of its own, so that the person's random numbers stay theirs


@dataclass(slots=True)
class LayerStep:
    """What one step of a layer left behind."""

    loss: torch.Tensor
    inputs: list[tuple[str, torch.Tensor]]  # those that can have a gradient, by their parameters' names
    returned: list[tuple[str, torch.Tensor]] = field(default_factory=list)  # the key in a dict, or nothing


def is_layer(target: object) -> bool:
    """Whether it is an object with a forward pass and a backward pass of its own (and not a torch Function)."""
    return (
        not isinstance(target, type)
        and callable(getattr(target, "backward", None))
        and _forward(target) is not None
    )


def drive(
    layer: Any,
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any],
    named: Callable[[str, torch.Tensor], None],
) -> LayerStep:
    """One step of the layer. `named` is called with the values that the person's code has no name for."""
    forward = _forward(layer)
    assert forward is not None
    arguments = list(_named_inputs(forward, inputs, kwargs))
    result = forward(*inputs, **kwargs)
    outputs, rest = _outputs(result)
    if not outputs:
        raise NothingToCheckError(
            f"`forward` of {type(layer).__qualname__} returned no tensor of floats to take the gradient of"
        )
    backward = layer.backward
    required, takes_any = _arity(backward)
    if required == 0 and not takes_any:
        if len(outputs) > 1 or outputs[0].numel() != 1:
            raise NothingToCheckError(
                f"`backward` of {type(layer).__qualname__} takes no upstream gradient, which only a loss can do, but "
                f"`forward` returned {_shapes(outputs)}"
            )
        loss = outputs[0]
        named("loss", loss)
        return LayerStep(loss, arguments, list(_returned(backward())))
    upstream = [_random_like(output, number) for number, output in enumerate(outputs)]
    parts = [(output * given).sum() for output, given in zip(outputs, upstream, strict=True)]
    loss = functools.reduce(torch.add, parts)
    named("loss", loss)
    given = upstream if required in (0, 1) or required == len(upstream) else [*upstream, *rest]
    if len(upstream) > 1 and required in (0, 1):
        handed: list[Any] = [tuple(upstream)]
    else:
        handed = list(given)
    return LayerStep(loss, arguments, list(_returned(backward(*handed))))


def _forward(target: Any) -> Callable[..., Any] | None:
    for name in ("forward", "__call__"):
        found = getattr(target, name, None)
        if callable(found) and not (name == "__call__" and inspect.isroutine(target)):
            forward: Callable[..., Any] = found
            return forward
    return None


def _named_inputs(
    forward: Callable[..., Any], inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[tuple[str, torch.Tensor]]:
    try:
        bound = inspect.signature(forward).bind(*inputs, **kwargs).arguments
    except (TypeError, ValueError):  # what is wrong with the arguments, the call itself says best
        bound = {f"input_{number}": value for number, value in enumerate(inputs, 1)} | kwargs
    for name, value in bound.items():
        if isinstance(value, tuple):  # *inputs
            for number, item in enumerate(value):
                if _is_floating(item):
                    yield f"{name}[{number}]", item
        elif _is_floating(value):
            yield name, value


def _outputs(result: Any) -> tuple[list[torch.Tensor], list[Any]]:
    """The outputs, and what else `forward` returns: a cache, for `backward` to be given."""
    if _is_floating(result):
        return [result], []
    if not isinstance(result, (tuple, list)):
        return [], []
    outputs: list[torch.Tensor] = []
    for number, item in enumerate(result):
        if not _is_floating(item):
            return outputs, list(result[number:])
        outputs.append(item)
    return outputs, []


def _arity(backward: Callable[..., Any]) -> tuple[int, bool]:
    """How many arguments `backward` must be given, and whether it can be given more."""
    try:
        parameters = inspect.signature(backward).parameters.values()
    except (TypeError, ValueError):
        return 1, True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = sum(p.default is p.empty for p in positional)
    more = len(positional) > required or any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return required, more


def _random_like(output: torch.Tensor, number: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(_SEED + number)
    drawn = torch.randn(output.shape, generator=generator, dtype=torch.float64, device="cpu")
    return drawn.to(output.dtype).to(output.device)


def _returned(result: Any, key: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if _is_floating(result):
        yield key, result
    elif isinstance(result, dict):
        for name, item in result.items():
            yield from _returned(item, str(name))
    elif isinstance(result, (tuple, list)):
        for item in result:
            yield from _returned(item, key)


def _is_floating(thing: Any) -> bool:
    return isinstance(thing, torch.Tensor) and (thing.is_floating_point() or thing.is_complex())


def _shapes(tensors: list[torch.Tensor]) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
