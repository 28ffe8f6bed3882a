"""`gradcheck report`: from the words of the command line to a written report."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from gradcheck.checks.registry import unknown_selectors
from gradcheck.child import ChildResult, run_in_child
from gradcheck.config import EXAMPLE, Config, read_config
from gradcheck.exchange import InternalError
from gradcheck.options import SessionOptions
from gradcheck.program.errors import ProgramError
from gradcheck.program.source import shown_path
from gradcheck.program.target import TargetKind, parse_target
from gradcheck.progress import Stage
from gradcheck.report.model import Report

_STAGES = {
    Stage.LOADING: "reading {}",
    Stage.RUNNING: "running {}",
    Stage.ANALYSING: "replaying the recorded step of {}",
}


@dataclass(frozen=True, slots=True)
class ReportOptions:
    sessions: tuple[SessionOptions, ...]  # one per target
    format: str
    output: str | None
    show_output: bool
    show_traceback: bool
    color: bool | None


def parse_options(
    targets: Sequence[str], at: str, loss: str | None, pairs: Sequence[str], cwd: str | None,
    data: Sequence[str], timeout: float | None, format_: str, output: str | None, select: Sequence[str],
    ignore: Sequence[str], show_output: bool, show_traceback: bool, color: bool | None,
) -> ReportOptions:  # fmt: skip
    """Checks everything that can be checked before a program is run."""
    config = read_config(_current_directory())
    if timeout is not None and not (timeout > 0 and math.isfinite(timeout)):
        raise ProgramError(f"--timeout: {timeout:g} is not a number of seconds above 0")
    if cwd is not None and not Path(cwd).is_dir():
        reason = "is not a directory" if Path(cwd).exists() else "does not exist"
        raise ProgramError(f"--cwd: `{cwd}` {reason}")
    common = SessionOptions(
        target="",
        cwd=cwd and str(Path(cwd).resolve()),
        at=_iterations(at),
        loss=loss,
        pairs=_assignments("--pair", pairs, "d_A=A_1"),
        data=_data_files(data),
        timeout_s=timeout or config.timeout or SessionOptions("").timeout_s,
        select=_codes("--select", select) or config.select,
        ignore=_codes("--ignore", ignore) or config.ignore,
    )
    for unknown in unknown_selectors((*common.select, *common.ignore)):
        raise ProgramError(f"there is no rule `{unknown}`", "`gradcheck rules` lists them")
    sessions = tuple(_given(common, text) for text in targets) or _configured(common, config)
    if output not in (None, "-") and len(sessions) > 1:
        raise ProgramError(f"--output names one file, but there are {len(sessions)} targets")
    return ReportOptions(sessions, format_, output, show_output, show_traceback, color)


def run(options: ReportOptions) -> int:
    """Reports on every target; the exit status is the worst of theirs."""
    status = 0
    reports: list[Report] = []
    for session in options.sessions:
        try:
            result = _run_one(session)
        except ProgramError as error:
            print_error(error)
            status = 2
            continue
        except InternalError as error:
            print_internal_error(error, options.show_traceback)
            status = 2
            continue
        if options.show_output:
            _show_output(result)
        status = max(status, result.report.exit_status)
        if options.format == "json":
            reports.append(result.report)
        else:
            _write(result.report, session, options)
    if reports:
        _write_json(reports, options)
    return status


def print_error(error: ProgramError) -> None:
    click.echo(f"error: {error.message}", err=True)
    if error.excerpt:
        click.echo(error.excerpt, err=True)
    if error.hint:
        click.echo(f"help: {error.hint}", err=True)


def print_internal_error(error: InternalError, show_traceback: bool) -> None:
    click.echo(f"error: internal error of gradcheck, please report it: {error.summary}", err=True)
    if show_traceback:
        click.echo(error.traceback, err=True)
    else:
        click.echo("help: --traceback shows the details", err=True)


def _run_one(session: SessionOptions) -> ChildResult:
    console = Console(stderr=True)
    if not console.is_terminal:
        return run_in_child(session)
    with console.status(f"reading {session.target}") as spinner:
        return run_in_child(session, lambda stage: spinner.update(_STAGES[stage].format(session.target)))


def _show_output(result: ChildResult) -> None:
    for text in (result.stdout, result.stderr):
        if text:
            click.echo(text, err=True, nl=not text.endswith("\n"))


def _write(report: Report, session: SessionOptions, options: ReportOptions) -> None:
    if options.format == "markdown":
        from gradcheck.report import markdown

        output = options.output or f"reports/{parse_target(session.target).stem}.md"
        with _opened(output) as file:
            file.write(markdown.render(report))
        if output != "-":
            click.echo(f"wrote {output}", err=True)
        return
    from gradcheck.report import terminal

    with _opened(options.output or "-") as file:
        console = Console(file=file)
        if options.color is not None:
            console = Console(file=file, force_terminal=options.color, no_color=not options.color)
        terminal.render(report, console)


def _write_json(reports: list[Report], options: ReportOptions) -> None:
    """One object for one target, a list for several."""
    from gradcheck.report import json_format

    if len(reports) == 1 and len(options.sessions) == 1:
        text = json_format.render(reports[0])
    else:
        objects = [report.to_dict() for report in reports]
        text = json.dumps(objects, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with _opened(options.output or "-") as file:
        file.write(text)


@contextmanager
def _opened(output: str) -> Iterator[Any]:
    if output == "-":
        yield sys.stdout
        sys.stdout.flush()  # here, where a reader that has gone is dealt with
        return
    path = Path(output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise ProgramError(f"--output: `{output}` cannot be written: {error.strerror}") from None


def _configured(common: SessionOptions, config: Config) -> tuple[SessionOptions, ...]:
    if config.folder is None or not config.targets:
        raise ProgramError(
            "no target given, and no pyproject.toml from here upwards names any",
            "gradcheck report train.ipynb, or in pyproject.toml:\n" + EXAMPLE,
        )
    return tuple(_configured_session(common, text, config.folder) for text in config.targets)


def _configured_session(common: SessionOptions, text: str, folder: Path) -> SessionOptions:
    """Files and modules that pyproject.toml names are looked for beside it."""
    file = text.rpartition("::")[0] or text
    if Path(file).suffix in (".py", ".ipynb"):
        text = shown_path(folder / text)
    if parse_target(text).kind is TargetKind.CALLABLE and common.cwd is None:
        return replace(common, target=text, cwd=str(folder))
    return replace(common, target=text)


def _given(common: SessionOptions, text: str) -> SessionOptions:
    parse_target(text)  # a mistyped name is told before any program is run
    return replace(common, target=text)


def _iterations(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ProgramError(f"--at: `{text}` is not a list of iterations", "they count from 0: --at 0,100")
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


def _codes(option: str, values: Sequence[str]) -> tuple[str, ...]:
    return tuple(code.strip() for value in values for code in value.split(",") if code.strip())


def _current_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise ProgramError(
            "the current directory no longer exists", "change to another directory and run the command again"
        ) from None
