"""The parent's side: starts the child process, limits its time, and reads what it found.

Imports no torch. The program runs in its own process group, so that whatever it started ends with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gradcheck.base import progress
from gradcheck.base.codec import checked_text, encode
from gradcheck.base.errors import InternalError
from gradcheck.base.options import SessionOptions
from gradcheck.base.private_folder import private_folder
from gradcheck.base.progress import Progress, Stage
from gradcheck.base.regular import read_regular
from gradcheck.layers.options import LayerOptions
from gradcheck.layers.report import LayerReport
from gradcheck.process.exchange import NO_ROOM, OPTIONS, PART, PROGRESS, RESULT, STDERR, STDOUT, WARM
from gradcheck.program.errors import ProgramError
from gradcheck.program.source import shown_path
from gradcheck.report.model import Report

_ANALYSIS_PER_TIMEOUT = 5.0  # so much more than the program, if that is allowed long
GRACE_S = 10.0  # after the child should have stopped the program itself
ANALYSIS_S = 600.0  # for everything but the program, in each stage
_MOST_OUTPUT = 16 * 2**20  # kept of what the program prints; an endless loop prints for ever
_POLL_S = 0.02
_KILLED = 9  # `signal` has no such name everywhere

# Not `-m gradcheck.process.worker`: that would put the current directory on sys.path before anything is imported, and
# a `types.py` of the person's would be taken for Python's. Modules of ours need sys.path only for the first.
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); import gradcheck.process.worker; "
    "sys.path.remove(sys.argv[1]); gradcheck.process.worker.main(sys.argv[2], *sys.argv[3:])"
)
# Threads of OpenMP that have nothing to do spin by default: where the cores are busy, a report took four times as long.
_IDLE_THREADS_SLEEP = {"OMP_WAIT_POLICY": "PASSIVE"}


Options = SessionOptions | LayerOptions
T = TypeVar("T")
_STOPPED = dict.fromkeys(Stage, "its gradients were judged") | {
    Stage.MEASURING: "its health was measured",
    Stage.DIAGNOSING: "causes and fixes were looked for",
}
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError)


@dataclass(frozen=True, slots=True)
class ChildResult:
    report: Report
    stdout: str  # what the program printed
    stderr: str
    seconds: float = 0.0  # on the clock, from the start of the child to its report


class StoppedError(Exception):
    """The child was ended because its report is no longer wanted."""


def run_in_child(
    options: SessionOptions,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
    on_part: Callable[[Report], None] | None = None,
    waiting: Child | None = None,
) -> ChildResult:
    """The report on `options.target`. Raises ProgramError, or InternalError for a bug of gradcheck; StoppedError once
    another thread has set `stop`. `on_part` is told how far it is, and where there is one, Ctrl-C leaves that part. A
    child that is `waiting` already is asked, if there is one."""
    with ExitStack() as leaving:
        child = waiting or leaving.enter_context(waiting_child())
        begun = time.monotonic()
        seen, stage = 0, Stage.LOADING

        def heard(now: Progress | None) -> None:
            if stop is not None and stop.is_set():
                raise StoppedError
            nonlocal seen, stage
            stage = now.stage if now is not None else stage
            if (
                on_part is not None
                and seen != (seen := child.changed(PART))
                and (part := child.part()) is not None
            ):
                on_part(part)
            if now is not None and on_progress is not None:
                on_progress(now)

        try:
            return child.asked(
                "report",
                options,
                heard,
                lambda found, out, err: ChildResult(
                    Report.from_dict(found), out, err, time.monotonic() - begun
                ),
            )
        except KeyboardInterrupt:
            left = child.part() if on_part is not None else None
            if left is None:
                raise
            left.program.stopped = _STOPPED[stage]
            return ChildResult(left, child.output(STDOUT), child.output(STDERR), time.monotonic() - begun)


def run_layer_in_child(
    options: LayerOptions, on_progress: Callable[[Progress], None] | None = None
) -> tuple[LayerReport, str]:
    """The check of a layer, and what the layer printed. Raises as `run_in_child` does."""
    with waiting_child() as child:
        return child.asked(
            "layer",
            options,
            lambda now: on_progress(now) if now and on_progress else None,
            lambda found, stdout, stderr: (LayerReport.from_dict(found), stdout + stderr),
        )


@dataclass(frozen=True, slots=True)
class Child:
    """A process that waits to be asked, once."""

    folder: Path
    process: subprocess.Popen[bytes]

    def asked(
        self,
        command: str,
        options: Options,
        heard: Callable[[Progress | None], None],
        made: Callable[[Any, str, str], T],
    ) -> T:
        """`made` from what the child finds, and what the program prints on standard output and on standard error. `heard`
        is called all the while, with what is being done when that changes."""
        folder = self.folder
        try:
            written = folder / f"{OPTIONS}.tmp"
            written.write_text(json.dumps({command: encode(options)}), encoding="utf-8")
            written.replace(folder / OPTIONS)
            status = _wait(self.process, folder, options, heard)
            result = _read_result(folder, status, options)
            try:
                return made(result[command], self.output(STDOUT), self.output(STDERR))
            except _MALFORMED as error:
                raise _unreadable(error) from None
        except OSError as error:
            raise no_room(error.strerror or str(error)) from None

    def output(self, name: str) -> str:
        return _read_output(self.folder / name)

    def changed(self, name: str) -> int:
        try:
            return (self.folder / name).lstat().st_mtime_ns
        except OSError:
            return 0

    def part(self) -> Report | None:
        """What there is of the report."""
        try:
            return Report.from_dict(json.loads(read_regular(str(self.folder / PART)))["report"])
        except (OSError, *_MALFORMED):
            return None


@contextmanager
def waiting_child(warm: bool = False) -> Iterator[Child]:
    """It is ended on the way out. A `warm` one imports torch while it waits. Raises ProgramError if it cannot be started."""
    with ExitStack() as leaving:
        try:
            own = leaving.enter_context(private_folder())
            process = _started(own.path, warm)
        except OSError as error:
            raise no_room(error.strerror or str(error)) from None
        leaving.callback(_kill_group, process)
        own.owns_group(process.pid)
        yield Child(own.path, process)


def _started(folder: Path, warm: bool) -> subprocess.Popen[bytes]:
    package_root = str(Path(__file__).resolve().parents[2])
    ours = _IDLE_THREADS_SLEEP.keys() - os.environ.keys()
    command = [sys.executable, "-P", "-c", _START, package_root, str(folder), WARM if warm else "", *ours]
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND  # so that the file can be cut while it is written
    stdout, stderr = (os.open(folder / name, append, 0o600) for name in (STDOUT, STDERR))
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True,
            env={**_IDLE_THREADS_SLEEP, **os.environ, "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
    except OSError as error:
        raise ProgramError(f"no process of Python can be started: {error.strerror}") from None
    finally:
        os.close(stdout)
        os.close(stderr)


def _wait(
    process: subprocess.Popen[bytes], folder: Path, options: Options, heard: Callable[[Progress | None], None]
) -> int:
    last: Progress | None = None
    limit = ANALYSIS_S
    deadline = time.monotonic() + limit
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_S)
        now = progress.read(str(folder / PROGRESS))
        if now is not None and now != last:
            # A stage has its time, however many steps it has; the search for a fix has it for each fault, a layer for each
            # case.
            if last is None or now.stage is not last.stage or now.stage in (Stage.DIAGNOSING, Stage.CHECKING):
                limit = _time_limit(now.stage, options)
                deadline = time.monotonic() + limit
            last = now
            heard(now)
        heard(None)
        for name in (STDOUT, STDERR):
            with suppress(OSError):  # the program may have removed it
                if (folder / name).lstat().st_size > 2 * _MOST_OUTPUT:
                    os.truncate(folder / name, _MOST_OUTPUT + 1)  # one more than shown: "there was more"
        if time.monotonic() > deadline:
            raise _took_too_long(last, limit, options)


def _took_too_long(last: Progress | None, limit: float, options: Options) -> ProgramError:
    if last is not None and last.stage is Stage.RUNNING:
        return ProgramError(
            f"still running after {options.timeout_s:g} s: it catches the exception that would stop it",
            "a bare `except:` in a loop does that; use `except Exception:`",
        )
    if last is not None and last.stage is Stage.CHECKING:
        return ProgramError(
            f"`{shown_path(Path(options.target))}`: {last.detail} took longer than {options.timeout_s:g} s",
            f"--timeout {2 * options.timeout_s:g} gives it twice the time; `gradcheck layer` checks one layer alone, and "
            "takes small inputs by --input",
        )
    stage = "reading" if last is None else last.stage.value
    return ProgramError(
        f"`{shown_path(Path(options.target))}` ran, but {stage} it took longer than {limit:g} s, and was stopped"
        if last is not None and last.stage is not Stage.LOADING
        else f"`{shown_path(Path(options.target))}`: reading it took longer than {limit:g} s, and was stopped",
        f"--timeout {2 * limit / _ANALYSIS_PER_TIMEOUT:g} gives it twice the time; a smaller step needs less",
    )


def _time_limit(stage: Stage, options: Options) -> float:
    if stage in (Stage.RUNNING, Stage.CHECKING):
        return options.timeout_s + GRACE_S
    limit = max(ANALYSIS_S, _ANALYSIS_PER_TIMEOUT * options.timeout_s)
    return limit + (options.fix_budget_s if stage is Stage.DIAGNOSING else 0.0)


def _read_result(folder: Path, status: int, options: Options) -> dict[str, Any]:
    """It is the child's word, and the program could have written it: nothing in it is taken for granted."""
    try:
        result = json.loads(read_regular(str(folder / RESULT)).decode("utf-8", "surrogatepass"))
        if "error" in result:
            raise ProgramError.from_dict(result["error"])
        if "internal" in result:
            found = result["internal"]
            raise InternalError(checked_text(found["summary"]), checked_text(found["traceback"]))
    except OSError:
        raise _died(folder, status, options) from None
    except _MALFORMED as error:
        raise _unreadable(error) from None
    return result  # type: ignore[no-any-return]


def _unreadable(error: Exception) -> InternalError:
    return InternalError("the result of the child process cannot be read", f"{type(error).__name__}: {error}")


def no_room(why: str) -> ProgramError:
    return ProgramError(
        f"the temporary folder `{tempfile.gettempdir()}` cannot be used: {why}",
        "TMPDIR names another one: TMPDIR=/path gradcheck ...",
    )


def _died(folder: Path, status: int, options: Options) -> Exception:
    """The child ended without a result: the program ended it, if it was the program's turn."""
    name = shown_path(Path(options.target))
    if status == NO_ROOM:
        return no_room("no space is left, or the program has limited the size of files")
    stderr = _read_output(folder / STDERR)
    last = progress.read(str(folder / PROGRESS))
    if last is None or last.stage not in (Stage.RUNNING, Stage.CHECKING):
        why = ", as if memory had run out" if status == -_KILLED else ""
        return InternalError(f"the child process {_how(status)}{why}", stderr)
    hint = "it ends its own process; it must return, raise or call exit()"
    if status == -_KILLED:
        hint = "it killed itself, or memory ran out"
    said = [line for line in stderr.splitlines() if line.strip()][-1:]
    return ProgramError(f"`{name}` {_how(status)} before it could be analysed", hint, "\n".join(said))


def _how(status: int) -> str:
    if status >= 0:
        return f"ended its process with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Whatever the program left running ends with it. The group's number is the child's, which it led."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, _KILLED)
        else:  # Windows: what the program has started may stay
            process.kill()
    # A signal may have left the lock in there held: without a limit it waits for ever.
    with suppress(subprocess.TimeoutExpired):
        process.wait(1.0)


def _read_output(path: Path) -> str:
    try:
        text = read_regular(str(path), _MOST_OUTPUT + 1)
    except OSError:
        return ""
    cut = "\n[the rest is not shown]\n" if len(text) > _MOST_OUTPUT else ""
    return text[:_MOST_OUTPUT].decode("utf-8", "replace") + cut
