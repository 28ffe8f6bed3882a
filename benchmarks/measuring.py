"""What the gradcheck benchmarks share: timing in turns, child processes, and recordings of programs.

Times are processor seconds unless a table says otherwise: on a machine that others use too, the clock on the
wall measures them as well. Contestants run in turns, so that a slow spell meets all of them alike.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

MODELS = Path(__file__).resolve().parent.parent / "models"
END_OF_TRAINING = "# %%\n# calibrate"  # the cell after the training loop of three_layer.py


def processor_seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def in_turns(contestants: Mapping[str, Callable[[], object]], turns: int) -> pd.DataFrame:
    """Processor seconds of each contestant at each turn; a first turn warms up and is not counted."""
    rows = [
        {name: processor_seconds(action) for name, action in contestants.items()} for _ in range(turns + 1)
    ]
    return pd.DataFrame(rows[1:])


def repeated(action: Callable[[], object], times: int) -> Callable[[], None]:
    def actions() -> None:
        for _ in range(times):
            action()

    return actions


def environment() -> str:
    """The line above a table. Imports torch: not for a process whose children's memory is measured."""
    import torch

    return f"torch {torch.__version__}, Python {platform.python_version()}, {torch.get_num_threads()} thread"


@dataclass(frozen=True, slots=True)
class Child:
    """One finished child process with all the processes it waited for."""

    status: int
    seconds: float  # on the wall
    processor_seconds: float
    peak_bytes: int  # resident, of the largest process among them


def run_child(command: Sequence[str], cwd: Path | None = None) -> Child:
    """The child starts from the size of the process that starts it: keep that one small (no torch in it)."""
    single = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **single}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    with process.stderr as stream:
        errors = stream.read()
    _, wait_status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = status = os.waitstatus_to_exitcode(wait_status)
    if status not in (0, 1):  # 1: the report has findings
        raise RuntimeError(f"{' '.join(command)} ended with status {status}:\n{errors.decode()}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Child(status, seconds, usage.ru_utime + usage.ru_stime, peak)


def report_command(target: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "gradcheck", "report", str(target), *options]


def training_part(program: Path) -> str:
    """The text of a program of models/ up to the end of its training loop."""
    text, separator, _ = program.read_text(encoding="utf-8").partition(END_OF_TRAINING)
    if not separator:
        raise ValueError(f"{program}: no cell begins with {END_OF_TRAINING!r}")
    return text


def markdown(table: pd.DataFrame) -> str:
    return str(table.to_markdown(index=False, disable_numparse=True))
