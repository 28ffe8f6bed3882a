"""`gradcheck report`: from the words of the command line to a written report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradcheck.base.options import SessionOptions
from gradcheck.cli.options import CommonOptions, parse_common
from gradcheck.cli.output import Destination, destination
from gradcheck.cli.run import run_targets
from gradcheck.program.target import parse_target
from gradcheck.report.gaps import gaps
from gradcheck.report.model import Report


@dataclass(frozen=True, slots=True)
class ReportOptions:
    common: CommonOptions
    destination: Destination
    verbose: bool
    strict: bool


def parse_options(
    format_: str | None, output: str | None, force: bool, verbose: bool, strict: bool, **common: Any
) -> ReportOptions:
    """Checks everything that can be checked before a program is run."""
    parsed = parse_common(**common)
    targets = [parse_target(session.target) for session in parsed.sessions]
    return ReportOptions(parsed, destination(format_, output, force, targets), verbose, strict)


def run(options: ReportOptions) -> int:
    """Reports on every target; the exit status is the worst of theirs."""
    status = 0
    objects: list[Any] = []
    for session, result in run_targets(options.common, objects):
        if result is None:
            status = 2
            continue
        incomplete = options.strict and bool(gaps(result.report))
        status = max(status, result.report.exit_status, int(incomplete))
        if options.destination.format == "json":
            objects.append(result.report.to_dict())
        else:
            _write(result.report, session, options)
    if options.destination.format == "json":
        options.destination.write_json(objects)
    return status


def _write(report: Report, session: SessionOptions, options: ReportOptions) -> None:
    to = options.destination
    path = to.file_for(parse_target(session.target))
    if to.format == "markdown":
        to.write_markdown(report, path, options.verbose)
        return
    from gradcheck.report import terminal

    with to.opened_text(path, report.target, options.common.color) as console:
        terminal.render(report, console, options.verbose)
