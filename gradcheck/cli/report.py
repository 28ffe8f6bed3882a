"""`gradcheck report`: from the words of the command line to a written report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradcheck.base.options import SessionOptions
from gradcheck.cli.options import CommonOptions, parse_common
from gradcheck.cli.output import Destination, destination
from gradcheck.cli.run import run_targets
from gradcheck.program.target import parse_target
from gradcheck.report.model import Report


@dataclass(frozen=True, slots=True)
class ReportOptions:
    common: CommonOptions
    destination: Destination
    verbose: bool


def parse_options(
    format_: str | None, output: str | None, force: bool, verbose: bool, **common: Any
) -> ReportOptions:
    """Checks everything that can be checked before a program is run."""
    parsed = parse_common(**common)
    targets = [parse_target(session.target) for session in parsed.sessions]
    return ReportOptions(parsed, destination(format_, output, force, targets), verbose)


def run(options: ReportOptions) -> int:
    """Reports on every target; the exit status is the worst of theirs."""
    status = 0
    reports: list[Report] = []
    for session, result in run_targets(options.common):
        if result is None:
            status = 2
            continue
        status = max(status, result.report.exit_status)
        if options.destination.format == "json":
            reports.append(result.report)
        else:
            _write(result.report, session, options)
    if reports:
        options.destination.write_json(reports)
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
