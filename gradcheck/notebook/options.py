"""The options of `%%gradcheck` and `%gradcheck_fix`: those of the command line that apply in a notebook."""

import keyword
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import click
from IPython.core.error import UsageError

from gradcheck.base.options import SessionOptions
from gradcheck.checks.registry import HEALTH_FAMILIES
from gradcheck.cli.options import program_options, rule_options, session_options
from gradcheck.process.config import Config, read_config
from gradcheck.program.errors import ProgramError

# How a program is run: here it runs in the notebook.
_NOT_HERE = ("targets", "m", "cwd", "data", "timeout", "memory", "show_output", "color")
_CELL_HELP = "Runs one training step of this cell, and reports on its manual gradients."
_FIX_HELP = "Shows the verified fixes of the cell that was checked last. No file is touched."


@dataclass(frozen=True, slots=True)
class CellOptions:
    session: SessionOptions
    show_traceback: bool = False
    into: str | None = None  # the name that the report is kept under


def cell_options(line: str) -> CellOptions | None:
    """None if only the help was asked for. Raises UsageError, which is shown in one line."""
    given = _parsed("%%gradcheck", _cell_command, line)
    if given is None:
        return None
    show_traceback, no_health = given.pop("show_traceback"), given.pop("no_health")
    into = given.pop("into")
    if into is not None and (not into.isidentifier() or keyword.iskeyword(into)):
        _refuse("%%gradcheck", f"--into: `{into}` is not a name", "as in --into report")
    try:
        session = session_options(_config(), **given)
    except ProgramError as error:
        _refuse("%%gradcheck", error.message, error.hint)
    if no_health:
        session = replace(session, ignore=(*session.ignore, *HEALTH_FAMILIES))
    return CellOptions(session, show_traceback, into)


def fix_options(line: str) -> dict[str, Any] | None:
    """`apply` and `cell`; None if only the help was asked for."""
    return _parsed("%gradcheck_fix", _fix_command, line)


def _parsed(name: str, command: click.Command, line: str) -> dict[str, Any] | None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        _refuse(name, f"{error}: {line.strip()}", "close the quotation")
    try:
        return dict(command.make_context(name, words).params)
    except click.exceptions.Exit:
        return None
    except click.UsageError as error:
        _refuse(name, error.format_message().rstrip("."), f"`{name} --help` lists the options")


def _refuse(name: str, message: str, hint: str) -> NoReturn:
    raise UsageError(f"{name}: {message}" + (f"; {hint}" if hint else ""))


@click.command(help=_CELL_HELP)
@program_options
@click.option("--no-health", is_flag=True, help="Check the gradients alone.")
@click.option("--into", metavar="NAME", help="Keep the report under this name: NAME.gradients is a table.")
@rule_options
def _cell_command() -> None:
    pass


_cell_command.params = [p for p in _cell_command.params if p.name not in _NOT_HERE]


@click.command(help=_FIX_HELP)
@click.option("--apply", is_flag=True, help="Put the fixed cell into a new cell below.")
@click.option("--cell", type=int, metavar="N", help="The cell to fix, if several cells have fixes.")
def _fix_command() -> None:
    pass


def _config() -> Config:
    """What pyproject.toml says about rules holds in notebooks too."""
    try:
        return read_config(Path.cwd())
    except OSError:  # the directory is gone; the notebook runs on all the same
        return Config()
