"""`gradcheck report`: from the words of the command line to a written report."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from gradcheck.base import numbers
from gradcheck.checks.finding import Severity
from gradcheck.cli.baseline import read, without_known
from gradcheck.cli.finished import Finished
from gradcheck.cli.options import CommonOptions, parse_common, workers_of
from gradcheck.cli.output import Destination, Outcome, destination
from gradcheck.cli.run import run_targets, said
from gradcheck.program.errors import ProgramError
from gradcheck.program.target import Target, parse_target
from gradcheck.report import index
from gradcheck.report.sentences import gaps

FAIL_ON = {"error": (Severity.ERROR,), "warning": (Severity.ERROR, Severity.WARNING), "never": ()}


def run(
    formats: Sequence[str], outputs: Sequence[str], force: bool, verbose: bool, quiet: bool, strict: bool, fail_on: str,
    baseline: str | None, against: str | None, jobs: int, backend: str, scheduler: str | None, resume: bool,
    **given: Any,
) -> int:  # fmt: skip
    """Reports on every target; the exit status is the worst of theirs. Whatever can be checked before a program is run, is."""
    common = parse_common(**given)
    targets = [parse_target(session.target, session.cwd) for session in common.sessions]
    destinations = _destinations(formats, outputs, force, targets)
    if verbose and quiet:
        raise ProgramError("--verbose shows more and --quiet less: use one of them")
    if against is not None:
        parse_target(against)
    known = None if baseline is None else read(baseline)
    workers = workers_of(jobs, backend, scheduler)
    finished = Finished() if resume else None
    solution = None if against is None else _solution(common, against)
    status, is_stopped = 0, False
    outcomes: list[Outcome] = []
    seconds: dict[str, float] = {}
    for session, result in run_targets(common, outcomes, workers, finished, in_parts=True):
        if result is None:
            status = 2
            continue
        report = result.report if known is None else without_known(result.report, known)
        fails = any(report.count(severity) for severity in FAIL_ON[fail_on])
        status = max(status, int(fails or (strict and bool(gaps(report)))))
        outcomes.append(report)
        seconds[session.target] = result.seconds
        for to in destinations:
            if not to.holds_all:
                path = to.file_for(parse_target(session.target, session.cwd))
                to.write(report, path, common.color, verbose - quiet)
        if report.program.stopped:
            is_stopped = True
            break
    if finished is not None:
        said(finished.in_words(len(common.sessions)))
    every = index.table(outcomes, seconds, solution)
    for to in destinations:
        if to.holds_all:
            to.write_all(outcomes, every, solution)
        elif len(common.sessions) > 1 or solution is not None:
            to.write_index(every, common.color)
    if is_stopped:
        raise KeyboardInterrupt
    return status


def _destinations(
    formats: Sequence[str], outputs: Sequence[str], force: bool, targets: Sequence[Target]
) -> list[Destination]:
    if formats and outputs and len(formats) != len(outputs):
        raise ProgramError(
            f"--format is given {numbers.count(len(formats), 'time')}, --output {numbers.count(len(outputs), 'time')}",
            "each --output takes the --format in the same place; without --format, its ending says the format",
        )
    pairs = list(zip_longest(formats, outputs)) or [(None, None)]
    found = [destination(format_, output, force, targets) for format_, output in pairs]
    if sum(to.writes_to("-") for to in found) > 1:
        raise ProgramError("two reports cannot both go to standard output", "--output gives each a file")
    return found


def _solution(common: CommonOptions, against: str) -> index.Solution:
    """What a right solution has, run as the targets are."""
    session = replace(common.sessions[0], target=against, fix_budget_s=0.0)
    ((_, result),) = run_targets(replace(common, sessions=(session,)))
    found = None if result is None else index.Solution.of(result.report)
    if not found:
        raise ProgramError(f"--against: no gradient of `{against}` is right, so it is no solution")
    return found
