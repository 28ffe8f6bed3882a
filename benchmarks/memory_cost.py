"""python -m benchmarks.memory_cost: the peak memory of a report above that of a bare run.

The program reads a data set from a file and trains on batches of it. The memory above the bare run is given
in multiples of the bytes of all tensors of one training step; it must not grow with the data set. A second
pair of runs, with hardly any tensors, tells how much of it gradcheck's own code takes. This process imports
no torch.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd

from benchmarks.generated import Loading, data_program
from benchmarks.measuring import markdown, report_command, run_child

COLUMNS = 64
ROWS = (20_000, 320_000)
MEGABYTE = 2**20
_STEP_BYTES = """
import sys
from pathlib import Path
from benchmarks.recordings import record
print(record(Path(sys.argv[1])).step_bytes(), file=open(sys.argv[2], "w"))
"""


def write_data(file: Path, rows: int, loading: Loading) -> int:
    """A .npy file; returns the bytes of the data set."""
    generator = np.random.default_rng(1)
    if loading is Loading.NUMBERS:
        np.save(file, generator.integers(0, 9, (rows, COLUMNS)))
    else:
        np.save(file, generator.standard_normal((rows, COLUMNS), dtype=np.float32))
    return file.stat().st_size


def write_program(folder: Path, rows: int, loading: Loading, width: int, batch: int) -> tuple[Path, int]:
    data = folder / "data.npy"
    size = write_data(data, rows, loading)
    program = folder / "train.py"
    text = data_program(str(data), loading, columns=COLUMNS, width=width, batch=batch)
    program.write_text(text, encoding="utf-8")
    return program, size


def step_bytes(program: Path, folder: Path) -> int:
    """Measured in a child, because it takes torch."""
    result = folder / "bytes"
    run_child([sys.executable, "-c", _STEP_BYTES, str(program), str(result)])
    return int(result.read_text(encoding="utf-8"))


def one_step(program: Path) -> Path:
    copy = program.with_name("bare.py")
    text = program.read_text(encoding="utf-8").replace("range(200_000)", "range(1)")
    copy.write_text(text, encoding="utf-8")
    return copy


def peaks(program: Path, turns: int) -> tuple[int, int]:
    """Peak bytes of the bare run and of the report: the least of the turns."""
    bare = min(run_child([sys.executable, str(one_step(program))]).peak_bytes for _ in range(turns))
    report = min(run_child(report_command(program)).peak_bytes for _ in range(turns))
    return bare, report


def own_bytes(turns: int) -> int:
    """What a report takes above the bare run where there is hardly a tensor: gradcheck's own code."""
    with tempfile.TemporaryDirectory() as name:
        program, _ = write_program(Path(name), 1000, Loading.FLOATS, width=8, batch=8)
        bare, report = peaks(program, turns)
        return report - bare


def row(loading: Loading, rows: int, own: int, turns: int, width: int, batch: int) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program, size = write_program(folder, rows, loading, width, batch)
        step = step_bytes(program, folder)
        bare, report = peaks(program, turns)
    above = report - bare
    return {
        "data set": loading.value,
        "rows": f"{rows:,}",
        "its size": f"{size / MEGABYTE:.0f} MiB",
        "tensors of a step": f"{step / MEGABYTE:.0f} MiB",
        "bare run": f"{bare / MEGABYTE:.0f} MiB",
        "report": f"{report / MEGABYTE:.0f} MiB",
        "above": f"{above / MEGABYTE:.0f} MiB",
        "in steps": f"{above / step:.1f}",
        "in steps, without own code": f"{(above - own) / step:.1f}",
    }


@click.command()
@click.option("--turns", type=click.IntRange(1), default=2, show_default=True)
@click.option("--width", type=click.IntRange(1), default=768, show_default=True, help="of a hidden layer")
@click.option("--batch", type=click.IntRange(1), default=1536, show_default=True)
@click.option(
    "--only", type=click.Choice([loading.name.lower() for loading in Loading]), help="One data set."
)
def main(turns: int, width: int, batch: int, only: str | None) -> None:
    """Print the peak memory of reports, as Markdown."""
    chosen = [Loading[only.upper()]] if only else list(Loading)
    own = own_bytes(turns)
    click.echo(
        f"Python {sys.version.split()[0]}; 3 hidden layers of {width}, batches of {batch}; peak resident"
    )
    click.echo(f"memory, the least of {turns} turns. gradcheck's own code: {own / MEGABYTE:.0f} MiB\n")
    table = [row(loading, rows, own, turns, width, batch) for loading in chosen for rows in ROWS]
    click.echo(markdown(pd.DataFrame(table)))
    click.echo("\nAim: under 8 steps, whatever the size of the data set.")


if __name__ == "__main__":
    main()
