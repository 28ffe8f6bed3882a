"""One step of a layer under the recorder: its forward pass, a random upstream gradient, its backward pass."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Any

from gradcheck.analysis.watching import Watched
from gradcheck.base.errors import NothingToCheckError
from gradcheck.fronts.markers import OUR_PLACE
from gradcheck.fronts.namespace import tensors_of_namespace
from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.graph import flow
from gradcheck.judge.verdicts.surrogate import CHANGES_NOTHING, PAST_A_CLAMP, changes_nothing, limits
from gradcheck.layers import driver as layer_driver
from gradcheck.layers.arrays import is_floating
from gradcheck.layers.driver import LayerStep
from gradcheck.layers.fused import GivesGradients
from gradcheck.layers.gradients import Returned, name_returned, pair_stored, parameters_of
from gradcheck.layers.methods import held_by
from gradcheck.layers.wanted import NO_GRADIENT, role_of
from gradcheck.program.live import name_of


def watch_layer(
    frame: FrameType, layer: Any, inputs: tuple[Any, ...], kwargs: dict[str, Any], *, files: Sequence[str | None],
    target: str = "", texts: Mapping[str, str] | None = None, apart: Collection[int] = (),
) -> tuple[Watched, list[Returned]]:  # fmt: skip
    """What was recorded on behalf of `frame`, and each gradient that `backward` returned. `files` are the person's;
    `apart` as `name_returned` takes it. What the layer raises is raised."""
    watched = Watched()
    start = {"self": held_by(layer), **layer_driver.inputs_by_name(layer, inputs, kwargs)}
    things = [held_by(layer), *inputs, *kwargs.values()]
    watched.begin(
        frame, target=target or name_of(layer), files=files, names=start, texts=texts, things=things
    )
    with ExitStack() as leaving:
        leaving.push(watched)
        recorder = watched.recorder
        parameters = parameters_of(layer)

        def named(name: str, array: Any) -> None:
            recorder.bind(name, array, frame.f_code, frame.f_lineno, alias=False)

        with watched.holding_writes():
            step = layer_driver.drive(layer, inputs, kwargs, named, frame)
        if not step.upstream:  # of what a loss compares with, nobody wants a gradient
            step.inputs = [one for one in step.inputs if role_of(one[0]) != "target"]
        recording = recorder.recording
        recording.loss = recording.value_of(step.loss)
        recording.handed = {v.root for _, array in step.inputs if (v := recording.value_of(array))}
        if step.loss is None:
            dicts: dict[str, object] = {
                name: handed for name, handed in start.items() if isinstance(handed, dict)
            }
            in_dicts = [array for _, array, _ in tensors_of_namespace(dicts) if is_floating(array)]
            held = [array for _, array in parameters] or in_dicts or [array for _, array in step.inputs]
            recording.trained = [*filter(None, map(recording.value_of, held))]
        if step.places:
            _refuse_what_is_on_purpose(step, ways_to_loss(recording, recording.handed))
        # The loss is computed from them all the same: what they are added to is no parameter that moves.
        recording.gradient_named.update(filter(None, map(recording.value_of, step.upstream)))
        gives = layer.forward if isinstance(layer, GivesGradients) else layer.backward
        pair_stored(recorder, layer, step)
        returned = name_returned(recorder, step, parameters, gives, frame, apart)
        for name, array in step.inputs if step.places else ():
            known = name in step.places or role_of(name) in NO_GRADIENT
            value = None if known else recording.value_of(array)
            if value is not None and ways_to_loss(recording, {value}):
                returned.append(Returned([f"d_{name}"], None, is_none=True))
    return watched, returned


def _refuse_what_is_on_purpose(step: LayerStep, ways: list[Op]) -> None:
    """Of a Function that is there for its backward pass, or to have none, nobody can say what is right."""
    hands_back = any(one is up for _, one in step.returned for up in step.upstream)
    if all(map(changes_nothing, ways)):
        raise NothingToCheckError(CHANGES_NOTHING)
    if hands_back and all(map(limits, ways)):
        raise NothingToCheckError(PAST_A_CLAMP)


def ways_to_loss(recording: Recording, start: set[Value]) -> list[Op]:
    """The person's operations between these and the loss."""
    ends = {recording.loss} if recording.loss is not None else set()
    return [op for op in flow.between(recording.ops, start, ends) if op.code.co_filename != OUR_PLACE]
