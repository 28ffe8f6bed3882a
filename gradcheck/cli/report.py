"""`gradcheck report`: from the words of the command line to a written report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from gradcheck.base import numbers
from gradcheck.checks.finding import Severity
from gradcheck.cli.baseline import Baseline, read, without_known
from gradcheck.cli.finished import Finished
from gradcheck.cli.options import CommonOptions, parse_common, workers_of
from gradcheck.cli.output import Destination, Outcome, destination
from gradcheck.cli.run import run_targets, said
from gradcheck.isolation.parallel import Workers
from gradcheck.program.errors import ProgramError
from gradcheck.program.target import parse_target
from gradcheck.report import index
from gradcheck.report.gaps import gaps
from gradcheck.report.model import Report

FAIL_ON = {"error": (Severity.ERROR,), "warning": (Severity.ERROR, Severity.WARNING), "never": ()}


@dataclass(frozen=True, slots=True)
class ReportOptions:
    common: CommonOptions
    destinations: tuple[Destination, ...]
    verbosity: int  # -1 for the headlines alone, 1 with every rule that found nothing
    strict: bool
    fail_on: str
    baseline: Baseline | None
    against: CommonOptions | None  # how the right solution is run
    workers: Workers
    finished: Finished | None


def parse_options(
    formats: Sequence[str], outputs: Sequence[str], force: bool, verbose: bool, quiet: bool, strict: bool, fail_on: str,
    baseline: str | None, against: str | None, jobs: int, backend: str, scheduler: str | None, resume: bool,
    **common: Any,
) -> ReportOptions:  # fmt: skip
    """Checks everything that can be checked before a program is run."""
    parsed = parse_common(**common)
    targets = [parse_target(session.target, session.cwd) for session in parsed.sessions]
    if formats and outputs and len(formats) != len(outputs):
        raise ProgramError(
            f"--format is given {numbers.count(len(formats), 'time')}, --output {numbers.count(len(outputs), 'time')}",
            "each --output takes the --format in the same place; without --format, its ending says the format",
        )
    pairs = list(zip_longest(formats, outputs)) or [(None, None)]
    found = tuple(destination(format_, output, force, targets) for format_, output in pairs)
    if sum(to.writes_to("-") for to in found) > 1:
        raise ProgramError("two reports cannot both go to standard output", "--output gives each a file")
    if verbose and quiet:
        raise ProgramError("--verbose shows more and --quiet less: use one of them")
    solution = None
    if against is not None:
        parse_target(against)
        solution = replace(parsed, sessions=(replace(parsed.sessions[0], target=against, fix_budget_s=0.0),))
    known = None if baseline is None else read(baseline)
    workers = workers_of(jobs, backend, scheduler)
    finished = Finished() if resume else None
    return ReportOptions(parsed, found, verbose - quiet, strict, fail_on, known, solution, workers, finished)


def run(options: ReportOptions) -> int:
    """Reports on every target; the exit status is the worst of theirs."""
    solution = _solution(options)
    status, is_stopped = 0, False
    outcomes: list[Outcome] = []
    seconds: dict[str, float] = {}
    for session, result in run_targets(
        options.common, outcomes, options.workers, options.finished, in_parts=True
    ):
        if result is None:
            status = 2
            continue
        report = result.report
        if options.baseline is not None:
            report = without_known(report, options.baseline)
        status = max(status, _status(report, options))
        outcomes.append(report)
        seconds[session.target] = result.seconds
        for to in options.destinations:
            if not to.holds_all:
                path = to.file_for(parse_target(session.target, session.cwd))
                to.write(report, path, options.common.color, options.verbosity)
        if report.program.stopped:
            is_stopped = True
            break
    if options.finished is not None:
        said(options.finished.in_words(len(options.common.sessions)))
    every = index.table(outcomes, seconds, solution)
    for to in options.destinations:
        if to.holds_all:
            to.write_all(outcomes, every)
        elif len(options.common.sessions) > 1 or solution is not None:
            to.write_index(every, options.common.color)
    if is_stopped:
        raise KeyboardInterrupt
    return status


def _solution(options: ReportOptions) -> index.Solution | None:
    if options.against is None:
        return None
    for session, result in run_targets(options.against):
        found = None if result is None else index.Solution.of(result.report)
        if not found or not found.names:
            raise ProgramError(f"--against: no gradient of `{session.target}` is right, so it is no solution")
        return found
    return None


def _status(report: Report, options: ReportOptions) -> int:
    fails = any(report.count(severity) for severity in FAIL_ON[options.fail_on])
    return int(fails or (options.strict and bool(gaps(report))))
