"""The options that `report` and `fix` share: how a program is run, and which rules apply."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from gradcheck.base.options import BACKENDS, SessionOptions
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


# Where the workers are.
cluster_options = _all(
    click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        default="local",
        show_default=True,
        help="Where the workers are: local processes, or a cluster (pip install 'gradcheck[dask]').",
    ),
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="The address of a running cluster. Without it one is started on this machine.",
    ),
)
allow_writes_option = click.option(
    "--allow-writes",
    is_flag=True,
    help="Let the program write its files. Without it, a private copy takes what it writes.",
)

# The targets, and how they are run. Placed above the own options of a command.
program_options = _all(
    click.argument("targets", nargs=-1, metavar="[TARGET]..."),
    click.option(
        "--at",
        default="0",
        metavar="N,N,...",
        show_default=True,
        help="Iterations of the training loop to record, counted from 0; the loop is left after the last.",
    ),
    click.option(
        "--loss",
        metavar="NAME",
        help="The name of the loss, if several values are possible; or an expression, if the program computes none: "
        "'((out - y)**2).sum()'.",
    ),
    click.option(
        "--pair",
        "pairs",
        multiple=True,
        metavar="GRAD=VALUE",
        help="GRAD is the gradient of VALUE, as in d_A=A_1. May be repeated. "
        "A comment does the same: # gradcheck: of A_1",
    ),
    click.option("-m", expose_value=False, is_flag=True, help="The targets are modules, as in `python -m`."),
    click.option("--cwd", metavar="DIR", help="Run the program in DIR instead of its own directory."),
    click.option(
        "--data",
        "data",
        multiple=True,
        metavar="NAME=PATH",
        help="Read PATH where the program opens a file NAME that is not there. May be repeated.",
    ),
    allow_writes_option,
    click.option(
        "--timeout", type=float, metavar="SECONDS", help="Time limit of the program.  [default: 120]"
    ),
    click.option(
        "--memory",
        type=click.FloatRange(0.5, 1e6),
        metavar="GB",
        help="Memory limit of the program, where the system has one.",
    ),
    click.option(
        "--sweep",
        type=click.IntRange(1, 100_000),
        default=64,
        metavar="N",
        show_default=True,
        help="Minibatches that the health checks replay the forward pass on.",
    ),
    click.option(
        "--samples",
        metavar="NAME",
        help="The name that holds the generated sequences, if they are not found automatically.",
    ),
    click.option(
        "--fix-budget",
        type=float,
        metavar="SECONDS",
        help="Time for the search for a fix, per fault; 0 turns it off.  [default: 5]",
    ),
    click.option(
        "--total-budget",
        type=float,
        metavar="SECONDS",
        help="Time for the search in all faults together.  [default: 60, or 12 fix budgets if that is more]",
    ),
)

# What else is shown, and in which colours.
display_options = _all(
    click.option("--show-output", is_flag=True, help="Show on standard error what the program printed."),
    click.option(
        "--traceback", "show_traceback", is_flag=True, help="Show the traceback of an internal error."
    ),
    click.option(
        "--color/--no-color", default=None, help="Colours, or none. The default depends on the terminal."
    ),
)

# Which rules, and what else is shown. Placed below the own options of a command.
rule_options = _all(
    click.option(
        "--select", multiple=True, metavar="CODES", help="Only these rules, by code or prefix: GC1,GC203."
    ),
    click.option("--ignore", multiple=True, metavar="CODES", help="Not these rules, by code or prefix."),
    click.option(
        "--threshold",
        "thresholds",
        multiple=True,
        metavar="KEY=NUMBER",
        help="Set a threshold of a rule, as in GC202.tanh-limit=0.95. May be repeated; "
        "`gradcheck rules --thresholds` lists them.",
    ),
    display_options,
)


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
