"""python -m benchmarks.length_cost: how the cost of a report grows with the number of backward passes.

Programs with 10 to 80 passes one after the other are recorded; finding the passes and judging their gradients are
timed on the recordings.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import click
import pandas as pd
import torch

from benchmarks.depth_cost import exponent
from benchmarks.generated import long_program
from benchmarks.measuring import environment, in_turns, markdown
from benchmarks.recordings import Recorded, record

PASSES = (10, 20, 40, 80)


def recordings(updates: bool) -> dict[int, Recorded]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for passes in PASSES:
            program = Path(folder, f"long_{passes}.py")
            program.write_text(long_program(passes, updates=updates), encoding="utf-8")
            found[passes] = record(program)
    return found


def rows(updates: bool, turns: int) -> list[dict[str, str]]:
    recorded = recordings(updates)
    shown = []
    for what, action in (("finding the passes", Recorded.passes), ("judging", Recorded.verdicts)):
        times = in_turns({str(n): partial(action, r) for n, r in recorded.items()}, turns).median()
        seconds = [float(times[str(n)]) for n in PASSES]
        row = {"passes": "with updates" if updates else "without updates", "what": what}
        row |= {
            f"{n} passes, {len(recorded[n].recording.ops):,} ops": f"{s * 1e3:,.0f} ms"
            for n, s in zip(PASSES, seconds, strict=True)
        }
        row["exponent"] = f"{exponent(list(PASSES), seconds):.2f}"
        shown.append(row)
    return shown


@click.command()
@click.option("--turns", type=click.IntRange(1), default=3, show_default=True)
def main(turns: int) -> None:
    """Print how the cost grows with the length of a program, as Markdown."""
    torch.set_num_threads(1)
    click.echo(f"{environment()}; medians of {turns} turns, processor time\n")
    for updates in (False, True):
        click.echo(markdown(pd.DataFrame(rows(updates, turns))) + "\n")
    click.echo("Aim: an exponent of 1 for finding. A pass after an update replays all that led to it.")


if __name__ == "__main__":
    main()
