"""python -m benchmarks.recording_cost: what recording adds to every torch operation of a program.

The same code runs without a mode, under a bare `TorchFunctionMode` that only hands the call on (what any
tool of the kind must pay), and under gradcheck's recorder, which also follows the person's names line by
line.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from types import CodeType, TracebackType
from typing import Any

import click
import pandas as pd
import torch
from torch.overrides import TorchFunctionMode

from benchmarks.measuring import MODELS, environment, markdown, training_part
from gradcheck.fronts.recorder import Recorder
from gradcheck.program.source import SourceMap, SourceUnit

STEPS = 20  # of a program, in one turn
_TINY = """
x, y = torch.ones(8, 4), torch.ones(4)
for _ in range(steps):
    a = x + y
    b = a * x
    c = torch.tanh(b)
    d = c.sum(0)
    e = d / 8
    f = x - e
    g = f.T
    h = g @ c
"""


class Bare(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


class Counting(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


class Recording(AbstractContextManager[None]):
    """A recorder as the runner starts and stops it."""

    def __init__(self, unit: SourceUnit) -> None:
        sources = SourceMap()
        sources.add(unit)
        self._recorder = Recorder(sources)

    def __enter__(self) -> None:
        self._recorder.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recorder.stop()
        if self._recorder.recording.notes or not self._recorder.recording.bindings:
            raise RuntimeError(f"not recorded: {self._recorder.recording.notes}")


class Workload:
    """Code that is run again and again from one state; `ready` is run once, before it, unobserved."""

    def __init__(self, name: str, text: str, ready: str = "") -> None:
        self.unit = SourceUnit(f"/programs/{name}.py", f"{name}.py", text)
        self._code: CodeType = compile(text, self.unit.filename, "exec")
        self._namespace: dict[str, Any] = {"torch": torch, "steps": STEPS, "print": _silent}
        exec(compile(ready, "<ready>", "exec"), self._namespace)
        self.calls = self._count()

    def _count(self) -> int:
        mode = Counting()
        with mode:
            exec(self._code, dict(self._namespace))
        return mode.calls

    def seconds(self, mode: AbstractContextManager[Any]) -> float:
        """Processor time; the mode is entered before and left after."""
        gc.collect()
        namespace = dict(self._namespace)
        with mode:
            start = time.process_time()
            exec(self._code, namespace)
            return time.process_time() - start


def _silent(*_: object) -> None:
    """The program's `print`."""


def three_layer() -> Workload:
    """The training loop of three_layer.py with its data and parameters, at module level as it is there."""
    text = training_part(MODELS / "three_layer.py")
    before, mark, loop = text.rpartition("# %%\nmax_steps = 200_000")
    if not mark:
        raise ValueError("three_layer.py: the cell with the training loop was not found")
    ready = before.replace('open("data/', f'open("{MODELS}/data/')
    return Workload("three_layer", "max_steps = steps" + loop, ready)


def table(workload: Workload, turns: int) -> pd.DataFrame:
    makers: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        "no mode": nullcontext,
        "bare TorchFunctionMode": Bare,
        "gradcheck's recorder": lambda: Recording(workload.unit),
    }
    rows = [{name: workload.seconds(make()) for name, make in makers.items()} for _ in range(turns + 1)]
    times = pd.DataFrame(rows[1:]) / workload.calls
    bare = times["bare TorchFunctionMode"]
    return pd.DataFrame(
        {
            "mode": list(makers),
            "microseconds per call": [f"{times[name].median() * 1e6:.2f}" for name in makers],
            "added by it": [f"{(times[name] - times['no mode']).median() * 1e6:.2f}" for name in makers],
            "times no mode": [f"{(times[name] / times['no mode']).median():.2f}" for name in makers],
            "times the bare mode": [f"{(times[name] / bare).median():.2f}" for name in makers],
        }
    )


@click.command()
@click.option("--turns", type=click.IntRange(1), default=25, show_default=True)
def main(turns: int) -> None:
    """Print what recording costs per torch call, as Markdown."""
    torch.set_num_threads(1)
    click.echo(f"{environment()}; medians of {turns} turns, processor time\n")
    tiny = Workload("tiny", _TINY.replace("range(steps)", "range(10 * steps)"))
    for title, workload in (
        ("one call per line, on tensors of 32 numbers", tiny),
        ("the training loop of three_layer.py", three_layer()),
    ):
        click.echo(f"{title} ({workload.calls:,} calls a turn):\n")
        click.echo(markdown(table(workload, turns)) + "\n")
    click.echo("Aim: within 3 times the bare mode.")


if __name__ == "__main__":
    main()
