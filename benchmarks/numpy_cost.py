"""python -m benchmarks.numpy_cost: what it costs to record a NumPy program, and to report on one.

The first table has programs that run to their end, bare and recorded; the difference is divided by the operations that
were written down. The second has whole processes: `python -m gradcheck report` against `python`. The last row there is a step
with 50,000 operations on single elements.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
from pathlib import Path

import click
import pandas as pd
import torch

from benchmarks.measuring import MODELS, environment, in_turns, markdown, run_child
from gradcheck.fronts.recorder import Recorder
from gradcheck.program.program import load
from gradcheck.program.runner import run
from gradcheck.program.target import parse_target

PROGRAMS = MODELS.parent / "tests" / "fronts" / "numpy" / "programs"
RECORDED = ("convolution_loops", "plain_numbers")
REPORTED = ("two_layers", "recurrent", "convolution_loops", "plain_numbers")
_LINES = """
import numpy as np
x, y = np.ones((8, 4)), np.ones(4)
for _ in range(400):
    a = x + y
    b = a * x
    c = np.tanh(b)
    d = c.sum(0)
    e = d / 8
    f = x - e
    g = f.T
    h = g @ c
"""
_ELEMENTS = """
import numpy as np
np.random.seed(0)
n, m = 75, 75
x, w, t = np.random.randn(n, m), np.random.randn(m), np.random.randn(n)
for step in range(3):
    loss = 0.0
    dw = np.zeros(m)
    for i in range(n):
        out = 0.0
        for j in range(m):
            out += x[i, j] * w[j]
        miss = out - t[i]
        loss += 0.5 * miss**2
        for j in range(m):
            dw[j] += miss * x[i, j]
    w = w - 0.001 * dw
"""


def recorded(path: Path) -> int:
    """Runs all of the program, and says how many operations were written down."""
    program = load(parse_target(str(path)))
    recorder = Recorder(program.sources, (10_000,))  # no such step
    run(program, recorder)
    return len(recorder.recording.ops)


def per_operation(folder: Path, turns: int) -> list[dict[str, str]]:
    lines = folder / "one_call_a_line.py"
    lines.write_text(_LINES, encoding="utf-8")
    rows = []
    for path in (lines, *(PROGRAMS / f"{name}.py" for name in RECORDED)):
        count = recorded(path)
        actions = {
            "bare": lambda path=path: runpy.run_path(str(path)),
            "with": lambda path=path: recorded(path),
        }
        times = in_turns(actions, turns).median()
        more = (times["with"] - times["bare"]) / max(count, 1)
        rows.append(
            {"program": path.stem, "operations": f"{count:,}", "bare": f"{times['bare'] * 1e3:,.1f} ms",
             "recorded": f"{times['with'] * 1e3:,.1f} ms", "more, for each": f"{more * 1e6:,.0f} us"}
        )  # fmt: skip
    return rows


def whole(folder: Path) -> list[dict[str, str]]:
    elements = folder / "element_loops.py"
    elements.write_text(_ELEMENTS, encoding="utf-8")
    rows = []
    for path in (*(PROGRAMS / f"{name}.py" for name in REPORTED), elements):
        bare = run_child([sys.executable, path.name], path.parent)
        command = [sys.executable, "-m", "gradcheck", "report", path.name, "--fix-budget", "0"]
        report = run_child(command, path.parent)
        rows.append(
            {"program": path.stem, "bare": f"{bare.processor_seconds:.2f} s",
             "report": f"{report.processor_seconds:.2f} s"}
        )  # fmt: skip
    return rows


@click.command()
@click.option("--turns", type=click.IntRange(1), default=3, show_default=True)
def main(turns: int) -> None:
    """Print what recording a NumPy program costs, and a whole report, as Markdown."""
    torch.set_num_threads(1)
    click.echo(f"{environment()}; processor time, medians of {turns} turns\n")
    with tempfile.TemporaryDirectory() as folder:
        click.echo(markdown(pd.DataFrame(per_operation(Path(folder), turns))) + "\n")
        click.echo(markdown(pd.DataFrame(whole(Path(folder)))))


if __name__ == "__main__":
    main()
