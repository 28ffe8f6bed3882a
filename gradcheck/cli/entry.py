"""The whole of the command: one of the commands, and what its exit status says. Every error is reported in a line or two,
never as a traceback."""

import io
import os
import signal
import sys
import traceback
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import click

from gradcheck.base.errors import InternalError
from gradcheck.cli import run as cli_run
from gradcheck.cli.commands import cli
from gradcheck.program.errors import ProgramError

_INTERRUPTED = 130


def main() -> NoReturn:
    """The console script."""
    begin()
    leave(_status("--traceback" in sys.argv))


def _status(show_traceback: bool) -> int:
    try:
        try:
            cli.main(standalone_mode=False)
            return 0
        except (ProgramError, InternalError) as error:
            cli_run.print_error(error, show_traceback=show_traceback)
        except click.exceptions.Exit as request:
            return request.exit_code
        except SystemExit as request:
            return request.code if isinstance(request.code, int) else UNUSABLE
        except (click.Abort, KeyboardInterrupt):
            return _INTERRUPTED
        except click.ClickException as usage:
            cli_run.print_error(_as_program_error(usage))
    except BrokenPipeError:
        return 1
    except OSError as error:
        tell_unwritable(error)
    except Exception as error:
        internal = InternalError(f"{type(error).__name__}: {error}", traceback.format_exc())
        cli_run.print_error(internal, show_traceback=show_traceback)
    return UNUSABLE


def _as_program_error(usage: click.ClickException) -> ProgramError:
    context = usage.ctx if isinstance(usage, click.UsageError) else None
    message = usage.format_message().rstrip(".")
    command = context.command_path if context else "gradcheck"
    return ProgramError(message[:1].lower() + message[1:], f"`{command} --help` lists the options")


_SIGNALS = ("SIGTERM", "SIGHUP", "SIGQUIT")  # not every system has all of them
UNUSABLE = 2


def begin() -> None:
    """Leaves by `finally` on a signal, so that nothing outlives us. What was started with `nohup` is not ended by SIGHUP."""
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminated)
    _occupy_closed_streams()


def leave(status: int) -> NoReturn:
    """Flushed here, where it can be told that it fails; as Python ends it would be status 120 and words of its own."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = status or 1  # the reader (`| head`) has gone
    except OSError as error:
        tell_unwritable(error)
        status = UNUSABLE
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, ValueError):
            _forget(descriptor)
    sys.exit(status)


def tell_unwritable(error: OSError) -> None:
    with suppress(OSError):
        what = f"`{error.filename}`" if error.filename else "standard output"
        print(f"error: {what} cannot be used: {error.strerror or error}", file=sys.stderr)  # noqa: T201
    if not error.filename:
        _forget(1)


def _forget(descriptor: int) -> None:
    """What is left in the buffer goes nowhere."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _occupy_closed_streams() -> None:
    """The next file that is opened would become what `print` writes into. Writing to a closed output fails, as it should."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # Errors can be told to nobody; but a report that is written to nobody is a mistake.
            flags = os.O_RDONLY if name == "stdout" else os.O_RDWR
            with suppress(OSError):
                opened = os.open(os.devnull, flags)
                if opened != descriptor:
                    os.dup2(opened, descriptor)
                    os.close(opened)
        if getattr(sys, name) is None:
            mode = "rb" if name == "stdin" else "wb"
            raw = io.FileIO(descriptor, mode, closefd=False)
            buffered = io.BufferedReader(raw) if name == "stdin" else io.BufferedWriter(raw)
            setattr(sys, name, io.TextIOWrapper(buffered, "utf-8", "backslashreplace"))


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    for name in _SIGNALS:  # a second one must not cut short what the first began
        with suppress(AttributeError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.exit(128 + number)
