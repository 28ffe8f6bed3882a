"""The whole of the command: one of the commands, and what its exit status says. Every error is reported in a line or two,
never as a traceback."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import click

from gradcheck.base.errors import InternalError
from gradcheck.cli import run as cli_run
from gradcheck.cli.commands import cli
from gradcheck.cli.leaving import UNUSABLE, begin, leave, tell_unwritable
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
        except ProgramError as error:
            cli_run.print_error(error)
        except click.exceptions.Exit as request:
            return request.exit_code
        except SystemExit as request:
            return request.code if isinstance(request.code, int) else UNUSABLE
        except (click.Abort, KeyboardInterrupt):
            return _INTERRUPTED
        except click.ClickException as usage:
            cli_run.print_error(_as_program_error(usage))
        except InternalError as error:
            cli_run.print_internal_error(error, show_traceback)
    except BrokenPipeError:
        return 1
    except OSError as error:
        tell_unwritable(error)
    except Exception as error:
        cli_run.print_internal_error(
            InternalError(f"{type(error).__name__}: {error}", traceback.format_exc()), show_traceback
        )
    return UNUSABLE


def _as_program_error(usage: click.ClickException) -> ProgramError:
    context = usage.ctx if isinstance(usage, click.UsageError) else None
    message = usage.format_message().rstrip(".")
    command = context.command_path if context else "gradcheck"
    return ProgramError(message[:1].lower() + message[1:], f"`{command} --help` lists the options")
