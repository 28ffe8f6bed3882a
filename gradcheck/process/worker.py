"""The child process: runs one report and writes it to a file. Started by `gradcheck.process.child`.

Whatever the program does to its own process (closes files, changes directory, exits, forks), the result is
written under an absolute path by functions kept from before it ran.
"""

import errno
import gc
import os
import sys
import traceback
from contextlib import suppress
from json import dumps, loads
from pathlib import Path
from time import sleep
from typing import Any

from gradcheck.base import progress
from gradcheck.base.codec import decode
from gradcheck.base.depth import deep
from gradcheck.base.errors import internal_error
from gradcheck.base.options import SessionOptions
from gradcheck.base.regular import BINARY
from gradcheck.layers.options import LayerOptions
from gradcheck.process.exchange import NO_ROOM, OPTIONS, PART, PROGRESS, RESULT
from gradcheck.program.errors import NothingFoundError, ProgramError, RaisedFirstError
from gradcheck.program.program import load
from gradcheck.program.target import parse_target
from gradcheck.program.writes.hold import hold_for_good
from gradcheck.report.model import Report

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_POLL_S = 0.02
_open, _write, _close, _replace, _exit = os.open, os.write, os.close, os.replace, os._exit


def main(directory: str, warm: str = "", *variables: str) -> None:
    """Never returns: threads that the program left behind must not keep the process alive.

    `variables` are those of the environment that torch reads when it is imported, and the program does not see.
    """
    process = os.getpid()
    with deep():
        if warm:
            _wait_for_options(directory)
        result = _result(directory, variables)
    status = 0
    if os.getpid() == process:
        try:
            _write_atomically(os.path.join(directory, RESULT), result)
        except OSError as error:
            status = NO_ROOM if error.errno in _FULL else 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # closed or replaced by the program
            stream.flush()
    _exit(status)


def _wait_for_options(directory: str) -> None:
    """With what takes longest done already."""
    _import_all()

    while not os.path.exists(os.path.join(directory, OPTIONS)):
        sleep(_POLL_S)


def _result(directory: str, variables: tuple[str, ...]) -> dict[str, Any]:
    try:
        asked = loads(Path(directory, OPTIONS).read_text(encoding="utf-8"))
        progress.write_to(os.path.join(directory, PROGRESS))
        progress.say(progress.Stage.LOADING)
        if "layer" in asked:
            from gradcheck.layers.run import run_layer

            _remove_from_environment(variables)
            layer = decode(LayerOptions, asked["layer"])
            if not layer.allow_writes:
                hold_for_good(directory)
            return {"layer": run_layer(layer).to_dict()}
        options = decode(SessionOptions, asked["report"])
        # A bad target is reported before torch is imported.
        load(parse_target(options.target, options.cwd), options.cwd)
        return {"report": _report(options, directory, variables).to_dict()}
    except ProgramError as error:
        return {"error": error.to_dict()}
    except OSError as error:  # ours: what the program raises is in the report
        if error.errno not in _FULL:
            return {"internal": internal_error(error, traceback.format_exc())}
        return {"error": ProgramError(f"there is no room for temporary files: {error.strerror}").to_dict()}
    except BaseException as error:
        return {"internal": internal_error(error, traceback.format_exc())}


def _import_all() -> None:
    """What is imported stays: the garbage collector need not go through it again and again meanwhile. Later it goes through
    it as in a bare run: what is frozen, the program can count."""
    gc.disable()
    import gradcheck.analysis.session  # noqa: F401

    gc.enable()


def _remove_from_environment(variables: tuple[str, ...]) -> None:
    for name in variables:
        os.environ.pop(name, None)


def _limit_memory(gigabytes: float | None) -> None:
    """What asks for more gets a MemoryError; the processes that the program starts have the same limit each."""
    if gigabytes is None or resource is None:
        return
    wanted, hard = int(gigabytes * 2**30), resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _report(options: SessionOptions, directory: str, variables: tuple[str, ...]) -> Report:
    _import_all()  # before the writes are held back: Python caches it
    from gradcheck.analysis.session import run_report

    _remove_from_environment(variables)
    if not options.allow_writes:
        hold_for_good(directory)
    _limit_memory(options.memory_gb)
    try:
        return run_report(options, lambda part: _write_part(os.path.join(directory, PART), part))
    except NothingFoundError as nothing:
        from gradcheck.layers.definitions import report_on_definitions

        try:
            report = report_on_definitions(options)
        except ProgramError as unread:
            if _what(unread) == _what(nothing):
                raise nothing from None
            raise NothingFoundError(f"{nothing}; {unread}", nothing.hint, nothing.excerpt) from None
        if report is None:
            raise
        if not report.rows and not report.findings:
            said = "\n".join(report.program.notes)
            raise NothingFoundError(
                f"{nothing}; no layer in it could be judged either: {said}", nothing.hint
            ) from None
        if isinstance(nothing, RaisedFirstError) and "relative import" not in str(nothing):
            report.program.ended = "exception"
            report.program.explanation = f"{nothing}; the layers that it defines were checked"
        return report


def _what(error: ProgramError) -> str:
    """What was raised, without where."""
    return str(error).rpartition("raised")[2].partition(": ")[2]


def _write_part(path: str, part: Report) -> None:
    with suppress(OSError):  # a report that comes all at once is better than none
        _write_atomically(path, {"report": part.to_dict()})


def _write_atomically(path: str, result: dict[str, Any]) -> None:
    try:
        text = dumps(result)
    except (TypeError, ValueError) as error:
        text = dumps({"internal": internal_error(error, traceback.format_exc())})
    descriptor = _open(path + ".tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o600)
    remaining = memoryview(text.encode("utf-8", "surrogatepass"))
    while remaining:
        remaining = remaining[_write(descriptor, remaining) :]
    _close(descriptor)
    _replace(path + ".tmp", path)
