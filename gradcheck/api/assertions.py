"""`gradcheck.assert_gradients`: one line in a test that guards a backward pass."""

import sys
from types import FrameType
from typing import Any

from gradcheck.analysis.settings import in_force
from gradcheck.analysis.watching import Watched
from gradcheck.api.checking import call_watched
from gradcheck.base.errors import GradientError, NothingToCheckError
from gradcheck.checks.registry import GRADIENT_FAMILY
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.layers import driver as layer_driver
from gradcheck.layers.gradients import Returned, not_judged, parameters_of
from gradcheck.layers.watch import watch_layer
from gradcheck.program.live import file_of, name_of
from gradcheck.report import sentences
from gradcheck.report.model import Report


def assert_gradients(target: Any, /, *inputs: Any, **kwargs: Any) -> Report:
    """Asserts that every gradient computed by hand in one step is right; returns the report.

    `target` is a callable that does one step, called once with `inputs` and `kwargs`; or an object with
    `forward(*inputs, **kwargs)` and `backward(upstream)`, whose gradients, those that `backward` returns and those
    that it stores, are checked against a random upstream gradient.

    Examples:
        >>> import torch, gradcheck
        >>> class Linear:
        ...     def __init__(self, fan_in, fan_out):
        ...         self.W, self.b = torch.randn(fan_in, fan_out), torch.zeros(fan_out)
        ...     def forward(self, x):
        ...         self.x = x
        ...         return x @ self.W + self.b
        ...     def backward(self, dout):
        ...         self.dW, self.db = self.x.T @ dout, dout.sum(0)
        ...         return dout @ self.W.T
        >>> report = gradcheck.assert_gradients(Linear(5, 3), torch.randn(8, 5))
        >>> report.gradients[["name", "of", "verdict"]].values.tolist()
        [['self.dW', 'self.W', 'correct'], ['self.db', 'self.b', 'correct'], ['d_x', 'self.x', 'correct']]

    The rules of family GC1 are looked at, unless `@pytest.mark.gradcheck(select=...)` says which.

    Raises:
        GradientError: an AssertionError: one is wrong or could not be checked, or none was found. Its text shows the line
            and what is wrong with it, as `gradcheck report` does.
    """
    __tracebackhide__ = True
    if isinstance(target, type):
        raise TypeError(
            f"assert_gradients takes an object with forward and backward, or a callable that does one step: "
            f"make one of the class first, as in `{target.__name__}(...)`"
        )
    frame = sys._getframe(1)
    settings = in_force()
    try:
        watched, returned = _watched(frame, target, inputs, kwargs)
        report = watched.report(select=settings.select or (GRADIENT_FAMILY,))
    except NothingToCheckError as error:
        raise GradientError(f"no gradient of {name_of(target)} was checked: {error}") from None
    report.raise_for_errors()
    unchecked = [
        f"`{row.name}` at {row.location} could not be checked: {row.reason}"
        for row in report.rows
        if row.verdict is Verdict.UNCHECKED and row.problem is not Problem.HARMLESS
    ]
    if returned is not None:
        missing = not_judged(target, {name for name, _ in parameters_of(target)}, returned, report.rows)
        unchecked += [f"`{name}` could not be checked: {reason}" for name, reason in missing.items()]
    if unchecked:  # an assertion that looked at nothing would pass for ever
        raise GradientError("\n".join([sentences.headline(report), *unchecked]))
    return report


def _watched(
    frame: FrameType, target: Any, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Watched, list[Returned] | None]:
    if not layer_driver.is_layer(target):
        if not callable(target):
            raise TypeError(
                f"assert_gradients takes an object with forward and backward, or a callable that does one step, and "
                f"{type(target).__qualname__} is neither"
            )
        return call_watched(frame, target, inputs, kwargs), None
    files = [file_of(target), *(file_of(kind) for kind in type(target).__mro__[1:-1])]
    return watch_layer(frame, target, inputs, kwargs, files=files)
