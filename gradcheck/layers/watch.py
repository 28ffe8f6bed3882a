"""One step of a layer under the recorder: its forward pass, a random upstream gradient, its backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from types import FrameType
from typing import Any

import torch

from gradcheck.analysis.watching import Watched
from gradcheck.layers import driver as layer_driver
from gradcheck.layers.gradients import name_returned, parameters_of
from gradcheck.program.live import name_of


def watch_layer(
    frame: FrameType,
    layer: Any,
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    files: Sequence[str | None],
    target: str = "",
) -> Watched:
    """What was recorded, on behalf of `frame`; `files` are the person's. What the layer raises is raised."""
    watched = Watched()
    start = {"self": layer, **{f"input_{number}": value for number, value in enumerate(inputs, 1)}}
    watched.begin(frame, target=target or name_of(layer), files=files, names=start)
    error: BaseException | None = None
    try:
        recorder = watched.recorder
        parameters = parameters_of(layer)

        def named(name: str, tensor: torch.Tensor) -> None:
            recorder.bind(name, tensor, frame.f_code, frame.f_lineno, alias=False)

        step = layer_driver.drive(layer, inputs, kwargs, named)
        name_returned(recorder, step, parameters, layer.backward, frame)
    except BaseException as raised:
        error = raised
        raise
    finally:
        watched.end(error)
    return watched
