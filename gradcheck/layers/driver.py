"""One step of a single layer: its forward pass, a loss that hands it a random upstream gradient, its backward pass.

The loss is `sum(output * upstream)`, whose gradient with respect to the output is `upstream`. A plain `sum(output)`
would hide what a layer gets wrong of a sum (batch normalisation), and a constant upstream gradient what it transposes.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from gradcheck.base.errors import NothingToCheckError
from gradcheck.layers import arrays
from gradcheck.layers.fused import GivesGradients
from gradcheck.layers.handing import Call, Unclear, call_of
from gradcheck.layers.methods import called, held_by, upstream_attribute
from gradcheck.layers.predicted import reduction_of

_SEED = 20_240_229  # any; drawn from a generator of its own, so that the person's random numbers stay theirs
_Named = tuple[str, Any]  # a tensor, or an array of NumPy's


@dataclass(slots=True)
class LayerStep:
    """What one step of a layer left behind."""

    loss: Any
    inputs: list[_Named]  # those that can have a gradient, by their parameters' names
    returned: list[_Named] = field(default_factory=list)  # the key in a dict, or nothing
    # The names in the `return` of those, where it gives a loss too.
    said: list[str] = field(default_factory=list)
    # The inputs that those belong to, where autograd hands them on by their place.
    places: list[str] = field(default_factory=list)
    upstream: list[Any] = field(default_factory=list)


def is_layer(target: object) -> bool:
    """Whether it is an object with a forward pass and a backward pass of its own (and not a torch Function)."""
    return (
        not isinstance(target, type)
        and callable(getattr(target, "backward", None))
        and forward_of(target) is not None
    )


def forward_of(target: Any) -> Callable[..., Any] | None:
    for name in ("forward", "__call__"):
        found = getattr(target, name, None)
        if callable(found) and not (name == "__call__" and inspect.isroutine(target)):
            forward: Callable[..., Any] = found
            return forward
    return None


def drive(
    layer: Any,
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any],
    named: Callable[[str, Any], None],
    frame: FrameType | None = None,
) -> LayerStep:
    """One step of the layer. `named` is called with the values that the person's code has no name for; `frame` is where
    the loss is computed."""
    forward = forward_of(layer)
    assert forward is not None
    given = inputs_by_name(layer, inputs, kwargs)
    floats = [(name, value) for name, value in given.items() if arrays.is_floating(value)]
    result = arrays.as_array(called(layer, forward, inputs, kwargs))
    # The person's own name for it: `Linear.backward`, `relu_backward`.
    what = f"`{getattr(layer.backward, '__qualname__', 'backward')}`"
    if isinstance(layer, GivesGradients):
        both = layer.apart(result)
        if both is None or both[0] is None:
            raise NothingToCheckError("it returned no loss with its gradients")
        named("loss", both[0])
        returned = [(name, one) for name, part in both[1] for one in _returned(part)]
        return LayerStep(both[0], floats, [one for _, one in returned], [name for name, _ in returned])
    try:
        call = call_of(layer.backward, forward, given, result)
    except Unclear as unclear:
        raise NothingToCheckError(f"{what}: {unclear}") from None
    if not call.outputs:
        raise NothingToCheckError(
            f"`forward` returned no {arrays.array_word()} of floats to take the gradient of"
        )
    first = call.outputs[0]
    by_row = call.is_loss and not call.targets and first.shape
    how = reduction_of(held_by(layer), forward) if by_row else None
    compares = call.targets or (by_row and how is None)
    attribute = upstream_attribute(layer) if compares and not call.targets else None
    if compares and attribute is None:
        return LayerStep(None, floats, list(_returned(_compared(layer, call, what))))
    call.is_loss &= attribute is None
    loss, upstream = first, []
    if how is not None:
        loss = arrays.reduced(first, how, frame)
    elif not call.is_loss:
        upstream = [arrays.random_like(output, _SEED + number) for number, output in enumerate(call.outputs)]
        ones = [arrays.ones_like(each) for each in call.losses]
        loss = arrays.sum_of_products([*call.outputs, *call.losses], [*upstream, *ones], frame)
    if attribute is not None:
        setattr(held_by(layer), attribute, upstream.pop())
    named("loss", loss)
    found = layer.backward(*call.arguments(upstream))
    if not call.by_place:
        return LayerStep(loss, floats, list(_returned(found)), upstream=upstream)
    in_order = zip(given, found if isinstance(found, (tuple, list)) else [found], strict=False)
    placed = [(place, one) for place, part in in_order for one in _returned(part)]
    places = [place for place, _ in placed]
    return LayerStep(loss, floats, [one for _, one in placed], upstream=upstream, places=places)


def _compared(layer: Any, call: Call, what: str) -> Any:
    """What a `backward` returns that begins with the difference of the output and of what it should be."""
    output, why = call.outputs[0], ""
    for target in arrays.targets_like(output, _SEED) if call.targets else [None]:
        try:
            return layer.backward(*[call.values.get(name, target) for name in call.order])
        except Exception as error:
            why = why or f"{type(error).__name__}: {error}"
    wanted = f"{what} compares the output itself, and takes no upstream gradient; on what was tried it raised {why}"
    raise NothingToCheckError(f"{wanted}; `gradcheck report` on a training step checks it")


def inputs_by_name(layer: Any, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    forward = forward_of(layer)
    assert forward is not None
    try:
        bound = inspect.signature(forward).bind(*inputs, **kwargs).arguments
    except (TypeError, ValueError):  # what is wrong with the arguments, the call itself says best
        bound = {f"input_{number}": value for number, value in enumerate(inputs, 1)} | kwargs
    found: dict[str, Any] = {}
    for name, value in bound.items():
        many = isinstance(value, tuple) and any(arrays.is_array(item) for item in value)
        found |= {f"{name}[{number}]": item for number, item in enumerate(value)} if many else {name: value}
    return found


def _returned(result: Any, key: str = "") -> Iterator[_Named]:
    if arrays.is_floating(result):
        yield key, result
    elif isinstance(result, dict):
        for name, item in result.items():
            yield from _returned(item, str(name))
    elif isinstance(result, (tuple, list)):
        for item in result:
            yield from _returned(item, key)
