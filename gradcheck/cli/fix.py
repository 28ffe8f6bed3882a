"""`gradcheck fix`: shows the verified fixes of a report as a patch, or writes them and reports again."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from gradcheck.base import numbers
from gradcheck.checks.finding import Finding
from gradcheck.cli.options import CommonOptions, parse_common
from gradcheck.cli.output import console_for
from gradcheck.cli.run import run_targets, said
from gradcheck.patch.files import PatchedFile, patched_files
from gradcheck.patch.plan import Plan, PlannedFix, plan_fixes
from gradcheck.patch.show import applied_fix, coloured_patch, finding_line, left_out
from gradcheck.patch.unified import unified_diff
from gradcheck.patch.write import restore_files, write_files
from gradcheck.program.errors import ProgramError
from gradcheck.program.own_files import own_files
from gradcheck.report.model import Report

_PROVED = ("verified fix", "verified fixes")
_SOME_UNPROVED = ("edit (not proved)", "edits (some not proved)")
# A fix can reveal what its fault had hidden. More rounds than this would go in circles.
MOST_ROUNDS = 5


@dataclass(slots=True)
class _Round:
    """What one run of all targets found."""

    reports: list[Report] = field(default_factory=list)
    unusable: bool = False
    unproved: bool = False
    files: set[Path] = field(default_factory=set)  # of the targets, as they are read here

    @property
    def plan(self) -> Plan:
        return plan_fixes(self.reports, unproved=self.unproved, files=self.files)

    @property
    def has_errors(self) -> bool:
        return any(report.exit_status for report in self.reports)


def run(diff: bool, write: bool, unproved: bool, **given: Any) -> int:
    """The exit status: 0 nothing to fix (or nothing left), 1 otherwise, 2 unusable. Whatever can be checked before a program
    is run, is."""
    if diff and write:
        raise ProgramError("--diff shows the patch and --write applies it: use one of them")
    options = parse_common(**given)
    if any(0 in (session.fix_budget_s, session.total_budget_s) for session in options.sessions):
        raise ProgramError(
            "the search for fixes is off", "set a budget: --fix-budget 5, or `fix-budget = 5` in pyproject"
        )
    first = _report(options, unproved)
    return _write(first, options) if write else _show(first, options)


def _report(options: CommonOptions, unproved: bool) -> _Round:
    found = _Round(unproved=unproved)
    for session, result in run_targets(options):
        if result is None:
            found.unusable = True
        else:
            found.files |= own_files(session.target, session.cwd)
            found.reports.append(result.report)
    return found


def _show(found: _Round, options: CommonOptions) -> int:
    plan = found.plan
    files = patched_files(plan.fixes)
    _print_patch(files, options)
    for sentence in left_out(plan, "run again"):
        said(sentence)
    if not found.unproved and any(finding.fix is not None for finding in plan.unfixed):
        said("some edits fit the recorded step and could not be proved; --unproved takes them too")
    if plan.fixes:
        proved = all(planned.fix.verified for planned in plan.fixes)
        what = f"{numbers.count(len(plan.fixes), *(_PROVED if proved else _SOME_UNPROVED))} in "
        what += numbers.count(len(files), "file")
        said(f"{what}; --write applies {'it' if len(plan.fixes) == 1 else 'them'}")
    elif not found.unusable and not plan.unfixed:
        said("nothing to fix")
    return _status(found, something_to_do=bool(plan.fixes) or found.has_errors)


def _write(found: _Round, options: CommonOptions) -> int:
    if found.unusable:  # a module shared with a program that does not run cannot be checked afterwards
        said("nothing was written")
        return 2
    console = console_for(options.color)
    applied = 0
    for _ in range(MOST_ROUNDS):
        plan = found.plan
        if not plan.fixes:
            break
        files = patched_files(plan.fixes)
        write_files(files)
        _print_applied(plan.fixes, console)
        found = _report(options, found.unproved)
        if found.unusable:
            restore_files(files)
            raise ProgramError(
                f"with these {numbers.count(len(plan.fixes), 'fix', 'fixes')} the program could not be "
                f"analysed; {' and '.join(f'`{file.shown}`' for file in files)} {'was' if len(files) == 1 else 'were'} restored"
            )
        applied += len(plan.fixes)
    _print_summary(applied, found, console)
    return _status(found, something_to_do=found.has_errors)


def _status(found: _Round, something_to_do: bool) -> int:
    return 2 if found.unusable else int(something_to_do)


def _print_patch(files: Sequence[PatchedFile], options: CommonOptions) -> None:
    """To a person in colours, with the cells of notebooks readable; to a file or a tool as bare bytes."""
    console = console_for(options.color)
    # Not what rich thinks of it: where FORCE_COLOR is set, git must still get a patch that it can read.
    to_person = sys.stdout.isatty() or options.color
    for file in files:
        if to_person:
            console.print(coloured_patch(file), soft_wrap=True)
        else:
            sys.stdout.buffer.write(unified_diff(file))
    sys.stdout.flush()


def _print_applied(fixes: Iterable[PlannedFix], console: Console) -> None:
    for planned in fixes:
        console.print(applied_fix(planned), soft_wrap=True)


def _print_summary(applied: int, found: _Round, console: Console) -> None:
    left: list[Finding] = []
    for finding in (finding for report in found.reports for finding in report.findings):
        if finding not in left:  # of a module that several targets share
            left.append(finding)
    fixes = numbers.count(applied, "fix applied", "fixes applied")
    style = "bold" if found.has_errors else "bold green"
    console.print(Text(f"{fixes}, {numbers.count(len(left), 'finding')} left", style), soft_wrap=True)
    for finding in left:
        console.print(finding_line(finding), soft_wrap=True)
    if found.plan.fixes:
        said("more verified fixes are available; run it again")
    sys.stdout.flush()
