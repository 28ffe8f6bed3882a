"""python -m benchmarks.large_tensors: the peak memory of a report on a step with one large tensor in it.

The tensor is the data that the step computes with, a weight, or a table of which the step reads a few rows and whose
gradient is as large as the table. The memory above the bare run is given in multiples of that tensor, and of the bytes
of all tensors of one training step. This process imports no torch.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import pandas as pd

from benchmarks.measuring import markdown, report_command, run_child
from benchmarks.memory_cost import step_bytes

MEGABYTE = 10**6
_READY = """\
import torch
generator = torch.Generator().manual_seed(1)
"""
_LINEAR = """\
W = torch.randn({columns}, {units}, generator=generator) * {columns}**-0.5
X = torch.randn({rows}, {columns}, generator=generator)
Y = torch.randn({rows}, {units}, generator=generator)
for step in range(1000):
    diff = X @ W - Y
    loss = (diff ** 2).mean()
    ddiff = 2 * diff / diff.numel()
    dW = X.T @ ddiff
    W -= 0.1 * dW
"""
_TABLE = """\
table = torch.randn({rows}, 64, generator=generator) * 0.1
W = torch.randn(64, 10, generator=generator) * 0.1
for step in range(1000):
    ix = torch.randint(0, {rows}, (32,), generator=generator)
    y = torch.randint(0, 10, (32,), generator=generator)
    rows = table[ix]
    logprobs = (rows @ W).log_softmax(1)
    loss = -logprobs[range(32), y].mean()
    dlogits = logprobs.exp()
    dlogits[range(32), y] -= 1
    dlogits /= 32
    dW = rows.T @ dlogits
    drows = dlogits @ W.T
    dtable = torch.zeros_like(table)
    dtable.index_add_(0, ix, drows)
    W -= 0.1 * dW
    table -= 0.1 * dtable
"""


def programs(megabytes: int) -> dict[str, str]:
    count = megabytes * MEGABYTE // 4
    return {
        "data": _LINEAR.format(rows=count // 100, columns=100, units=1),
        "a weight": _LINEAR.format(rows=8, columns=1000, units=count // 1000),
        "a table, its gradient dense": _TABLE.format(rows=count // 64),
    }


def above_bare(folder: Path, text: str) -> tuple[int, int, float, Path]:
    """Peak bytes of the bare run of one step, how much more a report takes, its seconds, and the program."""
    program, bare = folder / "train.py", folder / "bare.py"
    program.write_text(_READY + text, encoding="utf-8")
    bare.write_text(_READY + text.replace("range(1000)", "range(1)"), encoding="utf-8")
    alone, report = run_child([sys.executable, str(bare)]), run_child(report_command(program))
    return alone.peak_bytes, report.peak_bytes - alone.peak_bytes, report.processor_seconds, program


@click.command()
@click.option(
    "--megabytes", type=click.IntRange(1), default=40, show_default=True, help="of the large tensor"
)
def main(megabytes: int) -> None:
    """Print the peak memory of reports on steps with one large tensor, as Markdown."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        _, own, _, _ = above_bare(Path(name), _LINEAR.format(rows=8, columns=10, units=10))
        for tensor, text in programs(megabytes).items():
            bare, above, seconds, program = above_bare(Path(name), text)
            step = step_bytes(program, Path(name))
            rows.append(
                {
                    "the large tensor": tensor,
                    "bare run": f"{bare / MEGABYTE:.0f} MB",
                    "above": f"{above / MEGABYTE:.0f} MB",
                    "in such tensors": f"{(above - own) / megabytes / MEGABYTE:.1f}",
                    "tensors of a step": f"{step / MEGABYTE:.0f} MB",
                    "in steps": f"{(above - own) / step:.1f}",
                    "processor time": f"{seconds:.1f} s",
                }
            )
    click.echo(f"Tensors of {megabytes} MB; without gradcheck's own code, {own / MEGABYTE:.0f} MB.\n")
    click.echo(markdown(pd.DataFrame(rows)))
    click.echo("\nAim: under 4 steps.")


if __name__ == "__main__":
    main()
