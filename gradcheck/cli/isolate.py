"""`gradcheck isolate`: from the words of the command line to controlled experiments and what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from gradcheck.base.options import SessionOptions
from gradcheck.cli.options import CommonOptions, parse_common, workers_of
from gradcheck.cli.output import Destination, destination
from gradcheck.cli.run import print_error, run_targets, said
from gradcheck.isolation.experiment import ExperimentOptions
from gradcheck.isolation.parallel import Workers
from gradcheck.isolation.run import Faults, IsolationOptions, Listener, isolate
from gradcheck.program.errors import ProgramError
from gradcheck.program.target import Target, parse_target
from gradcheck.report.failed import FailedTarget
from gradcheck.report.model import Report

_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class IsolateOptions:
    common: CommonOptions
    experiment: ExperimentOptions
    workers: Workers
    by: str | None
    layers: bool
    resume: bool
    destination: Destination


def parse_options(
    seeds: int, steps: int, jobs: int | None, backend: str, scheduler: str | None, resume: bool,
    by: str | None, layers: bool, format_: str | None, output: str | None, force: bool, **common: Any,
) -> IsolateOptions:  # fmt: skip
    """Checks everything that can be checked before a program is run."""
    workers = workers_of(jobs, backend, scheduler)
    parsed = parse_common(**common)
    targets = [parse_target(session.target, session.cwd) for session in parsed.sessions]
    to = destination(format_, output, force, targets)
    for target in targets:
        for path in (_output(target, to), str(_journal(target, to))):
            to.check(path)
    return IsolateOptions(
        parsed,
        ExperimentOptions(seeds, steps),
        workers,
        by,
        layers,
        resume,
        to,
    )


def run(options: IsolateOptions) -> int:
    """The exit status: 0 listener, 2 unusable, 130 interrupted."""
    status = 0
    objects: list[Any] = []
    for session, result in run_targets(options.common, objects):
        if result is None:
            status = 2
            continue
        try:
            report = _isolated(result.report, session, options)
        except ProgramError as error:
            objects.append(FailedTarget(session.target, error))
            print_error(error, session.target if len(options.common.sessions) > 1 else "")
            status = 2
            continue
        objects.append(report)
        if not options.destination.holds_all:
            _write(report, session, options)
        if report.isolation is not None and not report.isolation.finished:
            status = _INTERRUPTED
            break
    if options.destination.holds_all:
        options.destination.write_all(objects)
    return status


def _isolated(report: Report, session: SessionOptions, options: IsolateOptions) -> Report:
    journal = _journal(parse_target(session.target, session.cwd), options.destination)
    options.destination.check(str(journal))
    asked = IsolationOptions(
        journal, options.experiment, options.workers, options.by, options.layers, options.resume,
    )  # fmt: skip
    faults = Faults(report.passes, report.findings, report.health.updates)
    with _shown() as listener:
        return replace(report, isolation=isolate(faults, session, asked, listener))


def _output(target: Target, to: Destination) -> str:
    return to.file_for(target, "-isolation")


def _journal(target: Target, to: Destination) -> Path:
    """Beside the output; of what goes to standard output, where a Markdown report would be."""
    output = _output(target, to)
    if output == "-":
        return Path(to.default_file(target, "-isolation.jsonl"))
    found = Path(output).with_suffix(".jsonl")
    return found if found != Path(output) else Path(output).with_suffix(".journal.jsonl")


def _write(report: Report, session: SessionOptions, options: IsolateOptions) -> None:
    to = options.destination
    path = _output(parse_target(session.target, session.cwd), to)
    if to.format != "terminal":
        to.write(report, path, options.common.color)
        return
    from gradcheck.report import terminal

    with to.opened_text(path, report.target, options.common.color) as console:
        terminal.render_isolation(report, console)


@contextmanager
def _shown() -> Iterator[Listener]:
    """A bar on standard error; where that is no terminal, only what has to be said."""
    console = Console(stderr=True)

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
