"""python -m benchmarks.depth_cost: how the cost of the check grows with the depth of the network.

Programs with 2 to 32 hidden layers, right, with one fault that everything before it inherits, and with a
fault in every layer, are recorded; `judge_recording` is timed on the recordings.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch

from benchmarks.generated import Fault, deep_program
from benchmarks.measuring import environment, in_turns, markdown
from benchmarks.recordings import Recorded, record
from gradcheck.judge.verdict import Verdict

DEPTHS = (2, 4, 8, 16, 32)


def recordings(fault: Fault) -> dict[int, Recorded]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for depth in DEPTHS:
            program = Path(folder, f"deep_{depth}.py")
            program.write_text(deep_program(depth, fault=fault), encoding="utf-8")
            found[depth] = record(program)
    return found


def exponent(depths: list[int], seconds: list[float]) -> float:
    """The slope of a straight line through the points on doubly logarithmic paper."""
    return float(np.polyfit(np.log(depths), np.log(seconds), 1)[0])


def row(fault: Fault, turns: int) -> dict[str, str]:
    recorded = recordings(fault)
    verdicts: Counter[Verdict] = recorded[DEPTHS[-1]].verdicts()
    times = in_turns({str(depth): partial(r.verdicts) for depth, r in recorded.items()}, turns).median()
    seconds = [float(times[str(depth)]) for depth in DEPTHS]
    shown = {"fault in": fault.value}
    shown |= {f"{d} layers": f"{s * 1e3:,.0f} ms" for d, s in zip(DEPTHS, seconds, strict=True)}
    shown["exponent"] = f"{exponent(list(DEPTHS), seconds):.2f}"
    shown["of the last doubling"] = f"{exponent(list(DEPTHS[-2:]), seconds[-2:]):.2f}"
    shown[f"verdicts at {DEPTHS[-1]}"] = ", ".join(f"{n} {v}" for v, n in verdicts.most_common())
    return shown


@click.command()
@click.option("--turns", type=click.IntRange(1), default=5, show_default=True)
def main(turns: int) -> None:
    """Print how the cost of the check grows with depth, as Markdown."""
    torch.set_num_threads(1)
    click.echo(f"{environment()}; medians of {turns} turns, processor time\n")
    click.echo(markdown(pd.DataFrame([row(fault, turns) for fault in Fault])))
    click.echo("\nAim: an exponent of 1, linear growth. A fixed cost pulls the fit below it at small depths.")


if __name__ == "__main__":
    main()
