"""`gradcheck.check`: one call, recorded and reported on."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Any

from gradcheck.analysis.watching import Watched
from gradcheck.program.live import file_of, name_of
from gradcheck.report.model import Report


def check(step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Report:
    """Calls `step(*args, **kwargs)` once, which does one training step, and reports on it.

    Examples:
        >>> import torch, gradcheck
        >>> def step(x, W):
        ...     y = torch.tanh(x @ W)
        ...     loss = (y**2).sum()
        ...     dy = 2 * y
        ...     return x.T @ (dy * (1 - y**2))
        >>> report = gradcheck.check(step, torch.randn(8, 4), torch.randn(4, 3, requires_grad=True))
        >>> report.summary["introduced"]
        0
        >>> report.gradients[["name", "of", "verdict"]].iloc[0].tolist()
        ['dy', 'y', 'correct']

    Files that the call writes are not kept, and the report names them: a test changes no file. What the call raises is
    raised. For a report all the same, watch it: `with gradcheck.watch() as watched: step()`.
    """
    return call_watched(sys._getframe(1), step, args, kwargs).report()


def call_watched(
    frame: FrameType, step: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Watched:
    """The call, recorded on behalf of the person's `frame`."""
    watched = Watched()
    watched.begin(frame, target=name_of(step), files=[file_of(step)], things=[step, *args, *kwargs.values()])
    with ExitStack() as leaving:
        leaving.push(watched)
        with watched.holding_writes():
            step(*args, **kwargs)
    return watched
