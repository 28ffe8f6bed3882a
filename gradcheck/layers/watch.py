"""One step of a layer under the recorder: its forward pass, a random upstream gradient, its backward pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Any

from gradcheck.analysis.watching import Watched
from gradcheck.layers import driver as layer_driver
from gradcheck.layers.fused import GivesGradients
from gradcheck.layers.gradients import Returned, name_returned, pair_in_lists, parameters_of
from gradcheck.layers.methods import held_by
from gradcheck.program.live import name_of


def watch_layer(
    frame: FrameType,
    layer: Any,
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    files: Sequence[str | None],
    target: str = "",
    texts: Mapping[str, str] | None = None,
    apart: Collection[int] = (),
) -> tuple[Watched, list[Returned]]:
    """What was recorded on behalf of `frame`, and each gradient that `backward` returned. `files` are the person's;
    `apart` as `name_returned` takes it. What the layer raises is raised."""
    watched = Watched()
    start = {"self": held_by(layer), **layer_driver.inputs_by_name(layer, inputs, kwargs)}
    watched.begin(
        frame,
        target=target or name_of(layer),
        files=files,
        names=start,
        texts=texts,
        things=[held_by(layer), *inputs, *kwargs.values()],
    )
    with ExitStack() as leaving:
        leaving.push(watched)
        recorder = watched.recorder
        parameters = parameters_of(layer)

        def named(name: str, array: Any) -> None:
            recorder.bind(name, array, frame.f_code, frame.f_lineno, alias=False)

        with watched.holding_writes():
            step = layer_driver.drive(layer, inputs, kwargs, named, frame)
        recording = recorder.recording
        recording.loss = recording.value_of(step.loss)
        recording.handed = {v.root for _, array in step.inputs if (v := recording.value_of(array))}
        # The loss is computed from them all the same: what they are added to is no parameter that moves.
        recording.gradient_named.update(filter(None, map(recording.value_of, step.upstream)))
        gives = layer.forward if isinstance(layer, GivesGradients) else layer.backward
        pair_in_lists(recorder, layer)
        returned = name_returned(recorder, step, parameters, gives, frame, apart)
    return watched, returned
