"""`gradcheck report`: from the words of the command line to a written report."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from gradcheck.cli_options import CommonOptions, parse_common
from gradcheck.cli_run import run_targets
from gradcheck.options import SessionOptions
from gradcheck.program.errors import ProgramError
from gradcheck.program.target import parse_target
from gradcheck.report.model import Report


@dataclass(frozen=True, slots=True)
class ReportOptions:
    common: CommonOptions
    format: str
    output: str | None


def parse_options(format_: str, output: str | None, **common: Any) -> ReportOptions:
    """Checks everything that can be checked before a program is run."""
    options = ReportOptions(parse_common(**common), format_, output)
    count = len(options.common.sessions)
    if output not in (None, "-") and count > 1:
        raise ProgramError(f"--output names one file, but there are {count} targets")
    return options


def run(options: ReportOptions) -> int:
    """Reports on every target; the exit status is the worst of theirs."""
    status = 0
    reports: list[Report] = []
    for session, result in run_targets(options.common):
        if result is None:
            status = 2
            continue
        status = max(status, result.report.exit_status)
        if options.format == "json":
            reports.append(result.report)
        else:
            _write(result.report, session, options)
    if reports:
        _write_json(reports, options)
    return status


def _write(report: Report, session: SessionOptions, options: ReportOptions) -> None:
    if options.format == "markdown":
        output = options.output or f"reports/{parse_target(session.target).stem}.md"
        _write_markdown(report, output)
        if output != "-":
            click.echo(f"wrote {output}", err=True)
        return
    from gradcheck.report import terminal

    with opened(options.output or "-") as file:
        console = Console(file=file)
        if (color := options.common.color) is not None:
            console = Console(file=file, force_terminal=color, no_color=not color)
        terminal.render(report, console)


def _write_markdown(report: Report, output: str) -> None:
    """With its figures in a folder beside it; on standard output there is no place for them."""
    from gradcheck.report import markdown

    images: dict[str, list[markdown.Image]] = {}
    if output != "-":
        from gradcheck.report.figures.all import health_pictures  # imports matplotlib

        folder = Path(output).with_suffix("").name + "-figures"
        for picture in health_pictures(report.health):
            path = Path(output).parent / folder / f"{picture.name}.png"
            _write_bytes(path, picture.png)
            images.setdefault(picture.table, []).append(
                markdown.Image(f"{folder}/{picture.name}.png", picture.alt)
            )
    with opened(output) as file:
        file.write(markdown.render(report, images))


def _write_bytes(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise ProgramError(f"--output: `{path}` cannot be written: {error.strerror}") from None


def _write_json(reports: list[Report], options: ReportOptions) -> None:
    """One object for one target, a list for several."""
    from gradcheck.report import json_format

    if len(reports) == 1 and len(options.common.sessions) == 1:
        text = json_format.render(reports[0])
    else:
        objects = [report.to_dict() for report in reports]
        text = json.dumps(objects, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with opened(options.output or "-") as file:
        file.write(text)


@contextmanager
def opened(output: str) -> Iterator[Any]:
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
