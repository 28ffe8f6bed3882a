"""python -m benchmarks.process_cost: the time of a whole report against a bare run of the same program.

The bare run is `python program.py` on a copy whose `max_steps = 200_000` is a 1: the training loop ends
after the iteration that the report records, and the rest of the program runs in both. This process imports
no torch.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import pandas as pd

from benchmarks.measuring import MODELS, Child, markdown, report_command, run_child

PROGRAMS = ("two_layer.py", "three_layer.py", "day70.py", "day70_tanh.py")
_STEPS = "max_steps = 200_000"


def one_step(program: Path, folder: Path) -> Path:
    """A copy of the program that leaves its training loop after the first iteration."""
    text = program.read_text(encoding="utf-8")
    if text.count(_STEPS) != 1:
        raise ValueError(f"{program}: `{_STEPS}` was not found once")
    copy = folder / program.name
    copy.write_text(text.replace(_STEPS, "max_steps = 1"), encoding="utf-8")
    return copy


def only_torch(folder: Path) -> Path:
    program = folder / "only_torch.py"
    program.write_text("import torch\n", encoding="utf-8")
    return program


def row(program: Path, turns: int, folder: Path) -> dict[str, str]:
    copy, torch_alone = one_step(program, folder), only_torch(folder)
    commands = {
        "import torch": [sys.executable, str(torch_alone)],
        "bare": [sys.executable, str(copy)],
        "report": report_command(program),
    }
    runs: list[dict[str, Child]] = [
        {name: run_child(command, program.parent) for name, command in commands.items()}
        for _ in range(turns + 1)
    ][1:]  # the first turn fills the caches of the disk
    processor = pd.DataFrame([{n: c.processor_seconds for n, c in run.items()} for run in runs])
    wall = pd.DataFrame([{n: c.seconds for n, c in run.items()} for run in runs])
    return {
        "program": program.name,
        **{f"{name}, processor": f"{processor[name].min():.2f} s" for name in commands},
        "ratio": f"{processor['report'].min() / processor['bare'].min():.2f}",
        "median ratio": f"{(processor['report'] / processor['bare']).median():.2f}",
        "ratio on the wall": f"{wall['report'].min() / wall['bare'].min():.2f}",
    }


@click.command()
@click.option("--turns", type=click.IntRange(1), default=5, show_default=True)
@click.argument("programs", nargs=-1)
def main(turns: int, programs: tuple[str, ...]) -> None:
    """Print the time of whole reports on PROGRAMS (names in models/), as Markdown."""
    click.echo(f"Python {sys.version.split()[0]}, one thread; the least of {turns} turns\n")
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(MODELS / name, turns, Path(folder)) for name in programs or PROGRAMS]
    click.echo(markdown(pd.DataFrame(rows)))
    click.echo("\nAim: a ratio under 2. The bare run writes no report and starts one process, not two.")


if __name__ == "__main__":
    main()
