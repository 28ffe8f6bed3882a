"""`gradcheck report`: from the words of the command line to a written report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradcheck.base.options import SessionOptions
from gradcheck.cli.options import CommonOptions, parse_common
from gradcheck.cli.output import check_one_file, console_on, opened, write_json, write_markdown
from gradcheck.cli.run import run_targets
from gradcheck.program.target import parse_target
from gradcheck.report.model import Report


@dataclass(frozen=True, slots=True)
class ReportOptions:
    common: CommonOptions
    format: str
    output: str | None
    verbose: bool


def parse_options(format_: str, output: str | None, verbose: bool, **common: Any) -> ReportOptions:
    """Checks everything that can be checked before a program is run."""
    options = ReportOptions(parse_common(**common), format_, output, verbose)
    check_one_file(output, len(options.common.sessions))
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
        write_json(reports, len(options.common.sessions), options.output)
    return status


def _write(report: Report, session: SessionOptions, options: ReportOptions) -> None:
    if options.format == "markdown":
        output = options.output or f"reports/{parse_target(session.target).stem}.md"
        write_markdown(report, output, options.verbose)
        return
    from gradcheck.report import terminal

    with opened(options.output or "-") as file:
        terminal.render(report, console_on(file, options.common.color), options.verbose)
