"""The options that `report` and `fix` share: how a program is run, and which rules apply."""

import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from gradcheck.base.options import SessionOptions
from gradcheck.base.thresholds import ThresholdError, checked, find_threshold
from gradcheck.checks.registry import unknown_selectors
from gradcheck.isolation.parallel import Workers
from gradcheck.process.config import EXAMPLE, Config, read_config
from gradcheck.program.errors import ProgramError
from gradcheck.program.program import working_directory
from gradcheck.program.source import shown_path
from gradcheck.program.target import current_directory, parse_target

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class CommonOptions:
    sessions: tuple[SessionOptions, ...]  # one per target
    show_output: bool
    show_traceback: bool
    color: bool | None


class ProgramCommand(click.Command):
    """What follows `--` are the arguments of the program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.params["arguments"] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- ARGUMENTS OF THE PROGRAM]"]


def workers_of(jobs: int | None, backend: str, scheduler: str | None) -> Workers:
    if scheduler is not None and backend == "local":
        raise ProgramError("--scheduler needs a cluster", "add --backend dask or --backend ray")
    return Workers(jobs, backend, scheduler)


FORMATS = ("terminal", "markdown", "html", "json", "sarif", "github", "junit", "csv")


def _all(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for each in reversed(decorators):  # click lists them from the outermost
            command = each(command)
        return command

    return decorate


def output_options(
    file: str = "", formats: Sequence[str] = FORMATS, several: bool = False
) -> Callable[[Command], Command]:
    """`--format` and `--output`; `file` says where a report goes if --output does not name a file. `several`: both may be
    given more than once, for several reports in one run."""
    default = "standard output" + (f", and {file}" if file else "")
    more = " May be repeated, with an --output for each." if several else ""
    return _all(
        click.option(
            "--format",
            "formats" if several else "format_",
            multiple=several,
            type=click.Choice(formats),
            help=f"The format of the report.{more}  [default: by the ending of --output; else terminal]",
        ),
        click.option(
            "--output",
            "-o",
            "outputs" if several else "output",
            multiple=several,
            metavar="PATH",
            help=f"Write the report to this file; - is standard output.  [default: {default}]",
        ),
        click.option("--force", is_flag=True, help="Write over files that gradcheck did not write."),
    )


_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _option(name: str, given: dict[str, Any] | None = None) -> Callable[[Any], Any]:
    """The option of this name, as its row in options.toml says."""
    row = dict(given or _TABLE[name])
    bounds = row.pop("range", None)
    if bounds is not None:
        row["type"] = (click.FloatRange if isinstance(bounds[0], float) else click.IntRange)(*bounds)
    elif "choices" in row:
        row["type"] = click.Choice(row.pop("choices"))
    elif row.pop("float", False):
        row["type"] = float
    return click.option(*row.pop("flags", [f"--{name}"]), **row)


def options_of(command: str) -> Callable[[Command], Command]:
    """The command's own options."""
    return _all(*(_option(name, row) for name, row in _TABLE[command].items()))


cluster_options = _all(*map(_option, ("backend", "scheduler")))
allow_writes_option = _option("allow-writes")
# The targets, and how they are run. Placed above the own options of a command.
_OF_PROGRAMS = (
    "at", "loss", "pair", "m", "cwd", "data", "allow-writes", "timeout", "memory", "sweep", "samples",
    "fix-budget", "total-budget",
)  # fmt: skip
program_options = _all(
    click.argument("targets", nargs=-1, metavar="[TARGET]..."), *map(_option, _OF_PROGRAMS)
)
# What else is shown, and which rules apply. Placed below the own options of a command.
_COLOURS = "Colours, or none. The default depends on the terminal."
display_options = _all(
    *map(_option, ("show-output", "traceback")),
    click.option("--color/--no-color", default=None, help=_COLOURS),
)
rule_options = _all(*map(_option, ("select", "ignore", "threshold")), display_options)


def parse_common(
    targets: Sequence[str], show_output: bool, show_traceback: bool, color: bool | None, **given: Any
) -> CommonOptions:
    """Checks everything that can be checked before a program is run."""
    config = read_config(current_directory())
    common = session_options(config, **given)
    sessions = tuple(_given(common, text) for text in targets) or _configured(common, config)
    return CommonOptions(sessions, show_output, show_traceback, color)


def session_options(
    config: Config, *, at: str = "0", loss: str | None = None, pairs: Sequence[str] = (), arguments: Sequence[str] = (),
    cwd: str | None = None, data: Sequence[str] = (), allow_writes: bool = False, timeout: float | None = None,
    memory: float | None = None, sweep: int = 64, samples: str | None = None, fix_budget: float | None = None,
    total_budget: float | None = None, select: Sequence[str] = (), ignore: Sequence[str] = (), thresholds: Sequence[str] = (),
) -> SessionOptions:  # fmt: skip
    """What is common to all targets. Raises ProgramError for what cannot be meant."""
    if timeout is not None and not (timeout > 0 and math.isfinite(timeout)):
        raise ProgramError(f"--timeout: {timeout:g} is not a positive number of seconds")
    for option, seconds in (("--fix-budget", fix_budget), ("--total-budget", total_budget)):
        if seconds is not None and not (seconds >= 0 and math.isfinite(seconds)):
            raise ProgramError(f"{option}: {seconds:g} is not a number of seconds, 0 or more")
    directory = working_directory(cwd)
    default = SessionOptions("")
    common = SessionOptions(
        target="",
        cwd=None if directory is None else str(directory),
        arguments=tuple(arguments),
        at=_iterations(at),
        loss=loss,
        pairs=_assignments("--pair", pairs, "d_A=A_1"),
        data=_data_files(data),
        allow_writes=allow_writes,
        sweep=sweep,
        samples=samples,
        timeout_s=_first(timeout, config.timeout, default.timeout_s),
        memory_gb=memory,
        fix_budget_s=_first(fix_budget, config.fix_budget, default.fix_budget_s),
        total_budget_s=config.total_budget if total_budget is None else total_budget,
        select=_codes(select) or config.select,
        ignore=_codes(ignore) or config.ignore,
        thresholds=config.thresholds | _thresholds(thresholds),
    )
    for unknown in unknown_selectors((*common.select, *common.ignore)):
        raise ProgramError(f"there is no rule `{unknown}`", "`gradcheck rules` lists them")
    return common


def _configured(common: SessionOptions, config: Config) -> tuple[SessionOptions, ...]:
    if config.folder is None or not config.targets:
        raise ProgramError(
            "no target given, and no pyproject.toml in this directory or above names one",
            "use `gradcheck report train.ipynb`, or in pyproject.toml:\n" + EXAMPLE,
        )
    return tuple(_configured_session(common, text, config.folder) for text in config.targets)


def _configured_session(common: SessionOptions, text: str, folder: Path) -> SessionOptions:
    """Files and modules that pyproject.toml names are looked for beside it."""
    file = text.rpartition("::")[0] or text
    if Path(file).suffix in (".py", ".ipynb"):
        text = shown_path(folder / text)
    elif common.cwd is None:
        common = replace(common, cwd=str(folder))
    return _given(common, text)


def _given(common: SessionOptions, text: str) -> SessionOptions:
    parse_target(text, common.cwd)  # a mistyped name is reported before any program is run
    return replace(common, target=text)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _iterations(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ProgramError(
            f"--at: `{text}` is not a list of iterations", "iterations count from 0: --at 0,100"
        )
    return tuple(sorted({int(part) for part in parts}))


def _assignments(option: str, values: Sequence[str], example: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        name, separator, right = value.partition("=")
        if not separator or not name.strip() or not right.strip():
            raise ProgramError(f"{option}: `{value}` is not of the form {example}")
        found[name.strip()] = right.strip()
    return found


def _data_files(values: Sequence[str]) -> dict[str, str]:
    found = _assignments("--data", values, "NAME=PATH")
    for name, text in found.items():
        path = Path(text).expanduser()
        if not path.exists():
            raise ProgramError(f"--data: `{text}` does not exist")
        found[name] = str(path.resolve())
    return found


def _thresholds(values: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, text in _assignments("--threshold", values, "GC202.tanh-limit=0.95").items():
        try:
            known = find_threshold(key).key
            found[known] = checked(known, _number(text))
        except ThresholdError as error:
            raise ProgramError(f"--threshold: {error.message}", error.hint) from None
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _codes(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(code.strip() for value in values for code in value.split(",") if code.strip())
