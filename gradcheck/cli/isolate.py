"""`gradcheck isolate`: from the words of the command line to controlled experiments and what they cost."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from gradcheck.cli.options import parse_common, workers_of
from gradcheck.cli.output import Destination, destination
from gradcheck.cli.run import print_error, run_targets, said
from gradcheck.isolation.experiment import ExperimentOptions
from gradcheck.isolation.run import Faults, IsolationOptions, Listener, isolate
from gradcheck.program.errors import ProgramError
from gradcheck.program.target import Target, parse_target
from gradcheck.report.contents import FailedTarget

_INTERRUPTED = 130


def run(
    seeds: int, steps: int, jobs: int | None, backend: str, scheduler: str | None, resume: bool,
    by: str | None, layers: bool, format_: str | None, output: str | None, force: bool, **given: Any,
) -> int:  # fmt: skip
    """The exit status: 0 done, 2 unusable, 130 interrupted. Whatever can be checked before a program is run, is."""
    workers = workers_of(jobs, backend, scheduler)
    common = parse_common(**given)
    targets = [parse_target(session.target, session.cwd) for session in common.sessions]
    to = destination(format_, output, force, targets)
    for target in targets:
        for path in (_output(target, to), str(_journal(target, to))):
            to.check(path)
    status = 0
    objects: list[Any] = []
    for session, result in run_targets(common, objects):
        if result is None:
            status = 2
            continue
        report, target = result.report, parse_target(session.target, session.cwd)
        journal = _journal(target, to)
        try:
            to.check(str(journal))
            asked = IsolationOptions(journal, ExperimentOptions(seeds, steps), workers, by, layers, resume)
            faults = Faults(report.passes, report.findings, report.health.updates)
            with _shown() as listener:
                report = replace(report, isolation=isolate(faults, session, asked, listener))
        except ProgramError as error:
            objects.append(FailedTarget(session.target, error))
            print_error(error, session.target if len(common.sessions) > 1 else "")
            status = 2
            continue
        objects.append(report)
        if not to.holds_all:
            to.write(report, _output(target, to), common.color)
        if report.isolation is not None and not report.isolation.finished:
            status = _INTERRUPTED
            break
    if to.holds_all:
        to.write_all(objects)
    return status


def _output(target: Target, to: Destination) -> str:
    return to.file_for(target, "-isolation")


def _journal(target: Target, to: Destination) -> Path:
    """Beside the output; of what goes to standard output, where a Markdown report would be."""
    output = _output(target, to)
    if output == "-":
        return Path(to.default_file(target, "-isolation.jsonl"))
    found = Path(output).with_suffix(".jsonl")
    return found if found != Path(output) else Path(output).with_suffix(".journal.jsonl")


@contextmanager
def _shown() -> Iterator[Listener]:
    """A bar on standard error; where that is no terminal, only what has to be said."""
    console = Console(stderr=True, force_terminal=sys.stderr.isatty())  # and not because FORCE_COLOR is set

    if not console.is_terminal:
        yield Listener(note=said)
        return
    from rich import progress

    columns = (
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True) as display:
        task = display.add_task("", total=None)
        yield Listener(
            doing=lambda what: display.update(task, description=what, refresh=True),
            done=lambda done, wanted: display.update(task, completed=done, total=wanted, refresh=True),
            note=lambda text: display.console.print(text, markup=False),
        )
