"""Programs run through the pipeline in this process, or in a forked child that has imported torch already."""

from __future__ import annotations

import gc
import os
import pickle
import random
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions
from gradcheck.fronts.recorder import Recorder
from gradcheck.fronts.tape import Binding, Op, Recording, Value
from gradcheck.process import child
from gradcheck.process.exchange import OPTIONS, STDERR, STDOUT, WARM
from gradcheck.program import source
from gradcheck.program.outcome import RunOutcome
from gradcheck.program.program import Program, load
from gradcheck.program.runner import run
from gradcheck.program.target import parse_target
from gradcheck.program.writes.hold import writes_held_back
from gradcheck.report.model import Report

torch.set_num_threads(1)  # small tensors, and several tests at a time
ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def torch_settings_kept() -> Iterator[None]:
    """Programs set what holds for the whole process; outside of the tests each has its own."""
    dtype, state, grad = torch.get_default_dtype(), torch.get_rng_state(), torch.is_grad_enabled()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_rng_state(state)
        torch.set_grad_enabled(grad)


# For a test of verdicts: what no rule is asked about is neither measured nor explained.
VERDICTS_ONLY: dict[str, Any] = {"fix_budget_s": 0.0, "allow_writes": True, "ignore": ("GC",)}


def report_on_source(text: str, **options: Any) -> Report:
    """The report on a script given as text; fixes are searched for only where a budget is given. It may write, in a folder
    of its own: holding writes back takes as long as the report on a few lines."""
    with tempfile.TemporaryDirectory() as folder, torch_settings_kept():
        path = Path(folder, "program.py")
        path.write_text(textwrap.dedent(text))
        usual: dict[str, Any] = {"timeout_s": 60.0, "fix_budget_s": 0.0, "allow_writes": True}
        return run_report(SessionOptions(str(path), **{**usual, **options}))


class NamespaceRecorder(Recorder):
    """Keeps the program's namespace, and which loop was left when: (loop, activation, index)."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.namespace: dict[str, Any] = {}
        self.left: list[tuple[int, int, int]] = []

    def unit_finished(self, unit: Any, namespace: dict[str, object]) -> None:
        super().unit_finished(unit, namespace)
        self.namespace = namespace

    def iteration_finished(self, loop: int, activation: int, index: int, frame: Any) -> bool:
        leave = super().iteration_finished(loop, activation, index, frame)
        if leave:
            self.left.append((loop, activation, index))
        return leave


@dataclass
class Recorded:
    recording: Recording
    names: dict[str, Any]
    outcome: RunOutcome
    program: Program
    left: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def ops(self) -> list[Op]:
        return self.recording.ops

    def op_names(self) -> list[str]:
        return [op.name for op in self.recording.ops]

    def bindings(self, name: str) -> list[Binding]:
        """Those that statements made, not those found in the namespace afterwards."""
        return [b for b in self.recording.bindings if b.name == name and b.code is not None]

    def bound(self, name: str) -> list[Value]:
        """The values `name` held, one after the other."""
        return [b.value for b in self.bindings(name)]

    def source(self, op: Op) -> str:
        """The expression that made the call, cut out of the program's text."""
        positions = list(op.code.co_positions())[op.lasti // 2]
        line, end_line, column, end_column = positions
        unit = self.program.sources.unit(op.code.co_filename)
        assert unit is not None
        assert line is not None
        assert line == end_line
        return unit.line_text(line)[column:end_column]

    def lines_left(self) -> list[int]:
        """The lines of the loops that were left early."""
        sites = self.program.loops.sites
        return [sites[loop].line for loop, _, _ in self.left]


def record_source(text: str, *, at: tuple[int, ...] = (0,), timeout_s: float = 30.0) -> Recorded:
    """Runs a script given as text under the recorder."""
    with tempfile.TemporaryDirectory() as folder, torch_settings_kept():
        path = Path(folder, "program.py")
        path.write_text(textwrap.dedent(text))
        program = load(parse_target(str(path)))
        recorder = NamespaceRecorder(program.sources, at)
        outcome = run(program, recorder, timeout_s=timeout_s, allow_writes=True)
        for unit in list(program.sources.units):
            program.sources.unit(unit)  # read while it is there
    return Recorded(recorder.recording, recorder.namespace, outcome, program, recorder.left)


class ChildFailedError(Exception):
    """The child raised, crashed or ran over its time; the message says which, and where."""


@cache
def _libraries_are_known() -> None:
    """What is looked up once in a process is looked up before it is forked."""
    with writes_held_back(lambda file: False):
        pass


def in_child(action: Callable[[], Any], *, timeout_s: float = 60.0, output: str = os.devnull) -> Any:
    """What `action()` returns, run in a forked child whose standard output goes to the file `output`, and its
    standard error beside it."""
    _libraries_are_known()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _be_child(action, writer, output)
    os.close(writer)
    received = bytearray()
    deadline = time.monotonic() + timeout_s
    try:
        while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            chunk = os.read(reader, 1 << 20)
            if not chunk:
                break
            received += chunk
        else:
            os.kill(pid, signal.SIGKILL)
            raise ChildFailedError(f"still running after {timeout_s:g} s")
    finally:
        os.close(reader)
        _, status = os.waitpid(pid, 0)
    if not received:
        raise ChildFailedError(f"the child ended with status {status} and no result")
    result, error = pickle.loads(bytes(received))
    if error is not None:
        raise ChildFailedError(error)
    return result


def _default_signals() -> None:
    """A test of the command leaves its handlers behind; a pool of workers that a program starts ends them by SIGTERM."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _be_child(action: Callable[[], Any], writer: int, output: str) -> None:
    """Never returns."""
    exit_now = os._exit
    gc.freeze()  # a collection that went through what the tests hold would copy all of it
    try:
        _default_signals()
        random.seed(0)  # Python seeds it again after a fork; NumPy seeds itself when it is first used
        np.random.seed(0)
        torch.set_num_threads(1)  # threads do not survive a fork, and a pool of them would be waited for
        for number, name in ((1, output), (2, output if output == os.devnull else output + ".err")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
        try:
            message = pickle.dumps((action(), None))
        except BaseException:
            message = pickle.dumps((None, traceback.format_exc()))
        remaining = memoryview(message)
        while remaining:
            remaining = remaining[os.write(writer, remaining) :]
    finally:
        exit_now(0)


class ForkedProcess:
    """As much of `subprocess.Popen` as is asked of the process that makes a report."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            pid, status = os.waitpid(self.pid, 0 if deadline is None else os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("forked", timeout or 0.0)
            else:
                time.sleep(0.001)
        return self.returncode


def started_by_fork(folder: Path, warm: bool) -> ForkedProcess:
    """Does what `gradcheck.process.child` does in a new process, in one that has imported torch already."""
    _libraries_are_known()
    pid = os.fork()
    if pid:
        return ForkedProcess(pid)
    try:
        gc.freeze()
        os.setsid()
        _default_signals()
        torch.set_num_threads(1)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        for descriptor, name, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, STDOUT, append),
            (2, STDERR, append),
        ):
            os.dup2(os.open(folder / name, flags, 0o600), descriptor)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)
            for number in range(3)
        )
        source._STARTED_IN = Path.cwd()
        while not (folder / OPTIONS).exists():
            time.sleep(0.001)
        sys.argv = ["-c", str(ROOT), str(folder), WARM if warm else ""]
        exec(child._START, {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)
