"""`gradcheck report`: from the words of the command line to a written report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from gradcheck.base import numbers
from gradcheck.checks.finding import Severity
from gradcheck.cli.options import CommonOptions, parse_common
from gradcheck.cli.output import Destination, Outcome, destination
from gradcheck.cli.run import run_targets
from gradcheck.program.errors import ProgramError
from gradcheck.program.target import parse_target
from gradcheck.report.baseline import Baseline, read, without_known
from gradcheck.report.gaps import gaps

FAIL_ON = {"error": (Severity.ERROR,), "warning": (Severity.ERROR, Severity.WARNING), "never": ()}


@dataclass(frozen=True, slots=True)
class ReportOptions:
    common: CommonOptions
    destinations: tuple[Destination, ...]
    verbose: bool
    strict: bool
    fail_on: str
    baseline: Baseline | None


def parse_options(
    formats: Sequence[str], outputs: Sequence[str], force: bool, verbose: bool, strict: bool, fail_on: str,
    baseline: str | None, **common: Any,
) -> ReportOptions:  # fmt: skip
    """Checks everything that can be checked before a program is run."""
    parsed = parse_common(**common)
    targets = [parse_target(session.target) for session in parsed.sessions]
    if formats and outputs and len(formats) != len(outputs):
        raise ProgramError(
            f"--format is given {numbers.count(len(formats), 'time')}, --output {numbers.count(len(outputs), 'time')}",
            "each --output takes the --format in the same place; without --format, its ending says the format",
        )
    pairs = list(zip_longest(formats, outputs)) or [(None, None)]
    found = tuple(destination(format_, output, force, targets) for format_, output in pairs)
    if sum(to.writes_to("-") for to in found) > 1:
        raise ProgramError("two reports cannot both go to standard output", "--output gives each a file")
    known = None if baseline is None else read(baseline)
    return ReportOptions(parsed, found, verbose, strict, fail_on, known)


def run(options: ReportOptions) -> int:
    """Reports on every target; the exit status is the worst of theirs."""
    status = 0
    outcomes: list[Outcome] = []
    for session, result in run_targets(options.common, outcomes):
        if result is None:
            status = 2
            continue
        report = result.report
        if options.baseline is not None:
            report = without_known(report, options.baseline)
        fails = any(report.count(severity) for severity in FAIL_ON[options.fail_on])
        incomplete = options.strict and bool(gaps(report))
        status = max(status, int(fails or incomplete))
        outcomes.append(report)
        for to in options.destinations:
            if not to.holds_all:
                to.write(
                    report, to.file_for(parse_target(session.target)), options.common.color, options.verbose
                )
    for to in options.destinations:
        if to.holds_all:
            to.write_all(outcomes)
    return status
