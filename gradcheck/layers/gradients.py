"""Which gradient is whose, for what `backward` returned without a name of its own, and what a layer stores.

Names given here are evidence only, as all names are: the numbers count.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import numpy as np

from gradcheck.fronts.gradient_names import Form, name_affinity, parse, split_path
from gradcheck.fronts.namespace import tensors_of_namespace
from gradcheck.fronts.recorder import Recorder
from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
from gradcheck.judge.verdict import GradientResult
from gradcheck.layers.arrays import is_floating, view_of
from gradcheck.layers.driver import LayerStep
from gradcheck.layers.methods import held_by
from gradcheck.replay.compare import never_summed

_SAME = 0.85  # also in the plural
_Named = tuple[str, Any]  # a tensor, or an array of NumPy's


@dataclass(frozen=True, slots=True)
class Returned:
    """A gradient that `backward` returned."""

    names: list[str]
    of: str | None  # the input whose gradient it has to be
    is_none: bool = False


def parameters_of(layer: object) -> list[_Named]:
    """The tensors or arrays of floats it holds that are not named for gradients."""
    return [
        (name, array)
        for name, array, _ in tensors_of_namespace({"self": held_by(layer)})
        if is_floating(array) and not isinstance(array, np.generic) and parse(name).form is Form.NONE
    ]


def name_returned(
    recorder: Recorder,
    step: LayerStep,
    parameters: list[_Named],
    backward: Callable[..., Any],
    frame: FrameType,
    apart: Collection[int] = (),
) -> list[Returned]:
    """Say of what `backward` returned whose gradient it is, and give it a name where it has none of its own. Those at the
    places `apart` are judged as what the `return` makes of them, apart from what they are before it."""
    value_of = recorder.recording.value_of
    loss = value_of(step.loss)
    named = [_all_names(recorder, value_of(tensor)) for _, tensor in step.returned]
    own = [[name for name in names if parse(name).stem is not None] for names in named]
    meant = _whose(step, parameters, own)
    code, line = frame.f_code, frame.f_lineno
    if isinstance(own_code := getattr(backward, "__code__", None), CodeType):
        code, line = own_code, own_code.co_firstlineno
        if recorder.last_return is not None and recorder.last_return[0] is code:
            line = list(code.co_positions())[recorder.last_return[1] // 2][0] or line
    for number, (key, tensor) in enumerate(step.returned):
        one, is_certain = meant[number]
        if number in apart or (step.places and _are_of_another(own[number], one, step)):
            tensor, own[number] = _as_handed_back(recorder, tensor, frame), []
        if one is not None and is_certain:
            recorder.pair(one[1], tensor)  # and not with what `forward` made of it under the same name
        if key:
            name = key if parse(key).form is not Form.NONE else f"d_{key}"
        elif own[number] and (one is None or _means(own[number], one)):
            continue
        else:
            name = _gradient_of(one[0]) if one is not None else f"grads[{number}]"
        # It may be judged under a name that says only that it is a gradient: `g`.
        own[number] = [*_all_names(recorder, value_of(tensor)), *own[number], name]
        # A value of the forward pass that is handed back as a gradient is one only by being handed back.
        made_before = loss is None or not _made_after(value_of(tensor), loss)
        recorder.bind(name, tensor, code, line, alias=not made_before)
    return [
        Returned(names, one[0] if one is not None and is_certain else None)
        for names, (one, is_certain) in zip(own, meant, strict=True)
    ]


def of_something_else(returned: list[Returned], rows: Iterable[GradientResult]) -> frozenset[int]:
    """The places of those that have to be the gradient of an input, and that no row judges as one."""
    judged = list(rows)
    return frozenset(
        place
        for place, one in enumerate(returned)
        if one.of is not None
        and not any(row.name in one.names and row.of == one.of and not row.scale_note for row in judged)
    )


def _whose(
    step: LayerStep, parameters: list[_Named], own: list[list[str]]
) -> list[tuple[_Named | None, bool]]:
    """For each that was returned, the input or parameter whose gradient it is: that which its key or its own name
    means; that in its place, where autograd goes by places, or if there are as many inputs, or inputs and parameters, and
    no name contradicts; else the first of its shape. And whether that is certain."""
    if step.places:
        inputs = {one[0]: one for one in step.inputs}
        return [(inputs.get(place), place in inputs) for place in step.places]
    left = [*step.inputs, *parameters]
    found: list[tuple[_Named | None, bool]] = []
    for (key, _), names in zip(step.returned, own, strict=True):
        one = next((one for one in left if _means([key] if key else names, one)), None)
        left = [other for other in left if other is not one]
        found.append((one, one is not None))
    for places in (step.inputs, [*step.inputs, *parameters]):
        fits = len(places) == len(step.returned) and not any(key for key, _ in step.returned)
        named = [
            place if one is None and (places is step.inputs or _may_be_of(tensor, place[1])) else one
            for (one, _), (_, tensor), place in zip(found, step.returned, places, strict=False)
        ]
        if fits and all(one is place for one, place in zip(named, places, strict=True)):
            # Without a name that says so, nobody knows in which order a layer hands back those of its parameters.
            said = any(one is place for (one, _), place in zip(found, places, strict=True))
            return [(one, said or places is step.inputs) for one in places]
    for number, (_, tensor) in enumerate(step.returned):
        if found[number][0] is None:
            one = next((one for one in left if one[1].shape == tensor.shape), None)
            left = [other for other in left if other is not one]
            found[number] = (one, False)
    is_input = [any(one is given for given in step.inputs) for one, _ in found]
    return [(one, sure and at) for (one, sure), at in zip(found, is_input, strict=True)]


def _may_be_of(gradient: Any, parameter: Any) -> bool:
    """Whether it is turned or never summed at most."""
    found, shape = tuple(gradient.shape), tuple(parameter.shape)
    return math.prod(found) == math.prod(shape) or never_summed(found, shape)


def _are_of_another(names: list[str], one: _Named | None, step: LayerStep) -> bool:
    """Whether they name the gradient of another input than the one in its place."""
    return not (one is not None and _means(names, one)) and any(_means(names, each) for each in step.inputs)


def _as_handed_back(recorder: Recorder, tensor: Any, frame: FrameType) -> Any:
    """What has a name, or a place, of its own already: as something else, made by the `return` that hands it back."""
    handed = view_of(tensor, frame)
    value = recorder.recording.value_of(handed)
    if value is not None and value.producer is not None and recorder.last_return is not None:
        value.producer.code, value.producer.lasti, value.producer.scope = recorder.last_return
    return handed


def _means(names: list[str], one: _Named) -> bool:
    return any(name_affinity(parse(name).stem or name, one[0]) >= _SAME for name in names)


def stored_gradients(layer: Any) -> Iterator[tuple[_Named, Any]]:
    """What the layer holds under the name of a parameter's gradient, with the parameter: `self.dW` of `self.W`. In lists,
    the place says it."""
    parameters = parameters_of(layer)
    for name, array, _ in tensors_of_namespace({"self": held_by(layer)}):
        if is_floating(array) and parse(name).form >= Form.BARE_D:
            one = next((one for one in parameters if _means([name], one)), None)
            if one is not None:
                yield one, array
    yield from _in_lists(layer)


def pair_stored(recorder: Recorder, layer: Any, step: LayerStep) -> None:
    """By their places in two lists; and the one gradient of the one thing that there is: a loss's `self.dinputs`, whatever it
    would be the gradient of by its numbers."""
    pairs = [(one[1], gradient) for one, gradient in _in_lists(layer)]
    names = tensors_of_namespace({"self": held_by(layer)})
    stored = [array for name, array, _ in names if is_floating(array) and parse(name).form >= Form.BARE_D]
    if len(step.inputs) == len(stored) == 1 and not step.returned and not parameters_of(layer):
        pairs.append((step.inputs[0][1], stored[0]))
    for parameter, gradient in pairs:
        if parameter.shape == gradient.shape:
            recorder.pair(parameter, gradient)


def _in_lists(layer: Any) -> Iterator[tuple[_Named, Any]]:
    """`self.grads[0]` and `self.params[0]`: of two lists, best of the same shapes, of which one is named for gradients, the
    place says what a gradient is of."""
    attributes = getattr(held_by(layer), "__dict__", None) or {}
    lists = {name: held for name, held in attributes.items() if isinstance(held, list) and held}
    for name, gradients in lists.items():
        others = [held for each, held in lists.items() if parse(f"{each}[0]").form is Form.NONE]
        others = [held for held in others if len(held) == len(gradients)]
        others = [
            held for held in others if list(map(_shape, held)) == list(map(_shape, gradients))
        ] or others
        if parse(f"{name}[0]").form is Form.EXPLICIT and len(others) == 1:
            for place, (parameter, gradient) in enumerate(zip(others[0], gradients, strict=True)):
                if is_floating(parameter) and is_floating(gradient) and parameter is not gradient:
                    yield (f"{name}[{place}]", parameter), gradient


def _shape(thing: Any) -> Any:
    return getattr(thing, "shape", None)


def not_judged(
    layer: object, parameters: set[str], returned: Iterable[Returned], rows: Iterable[GradientResult]
) -> dict[str, str]:
    """The gradients that are on no row, each with the reason: what was returned under these names and is the gradient
    of nothing; and what the layer holds for its parameters (not for a state that `forward` left) and nothing computed."""
    judged = list(rows)
    known = {row.name for row in judged}
    reasons = (
        "no input or parameter was found that it could be the gradient of",
        "`backward` returns None for it: either it needs no gradient, or its gradient is missing",
    )
    missing = {
        one.names[-1]: reasons[one.is_none] for one in returned if one.names and not known & {*one.names}
    }
    return missing | dict.fromkeys(_stored(layer, parameters, judged), "`backward` did not compute it")


def _stored(layer: object, parameters: set[str], judged: list[GradientResult]) -> list[str]:
    found = []
    for name, _, _ in tensors_of_namespace({"self": held_by(layer)}):
        parsed = parse(name)
        if parsed.form < Form.BARE_D or parsed.stem is None or split_path(name)[1] == "grad":
            continue
        if not any(name_affinity(parsed.stem, parameter) >= 0.99 for parameter in parameters):
            continue
        stem = parsed.stem
        if not any(
            parse(row.name).stem == stem or name_affinity(stem, row.of or "") >= _SAME for row in judged
        ):
            found.append(name)
    return found


def _all_names(recorder: Recorder, value: Value | None) -> list[str]:
    return [b.variable for b in recorder.recording.bindings if b.value is value]


def _gradient_of(name: str) -> str:
    base, last, is_item = split_path(name)
    if is_item and last.isdigit():
        return f"d_{split_path(base)[1]}[{last}]"
    return f"d_{last}"


def _made_after(value: Value | None, loss: Value) -> bool:
    made, lost = flow.copied(value).producer if value is not None else None, loss.producer
    return made is not None and lost is not None and made.index > lost.index
