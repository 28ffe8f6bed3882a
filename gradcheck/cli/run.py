"""Runs the targets of a command with a progress display, and reports errors in a line or two."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from gradcheck.base.errors import InternalError
from gradcheck.base.options import SessionOptions
from gradcheck.base.progress import Progress, Stage
from gradcheck.cli.finished import Finished
from gradcheck.cli.options import CommonOptions
from gradcheck.isolation.parallel import Submit, Workers, cluster
from gradcheck.process.child import ChildResult, run_in_child
from gradcheck.program.errors import ProgramError
from gradcheck.report.contents import FailedTarget
from gradcheck.report.layout import printable_lines
from gradcheck.report.model import Report

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

ONE = Workers(1)
_STAGES = {
    Stage.LOADING: "reading {}",
    Stage.RUNNING: "running {}",
    Stage.CHECKING: "checking layers of {}",
    Stage.ANALYSING: "replaying the recorded step of {}",
    Stage.MEASURING: "measuring the health of {}",
    Stage.DIAGNOSING: "looking for the causes in {}",
}


def run_targets(
    options: CommonOptions,
    failed: list[Any] | None = None,
    workers: Workers = ONE,
    finished: Finished | None = None,
    in_parts: bool = False,
) -> Iterator[tuple[SessionOptions, ChildResult | None]]:
    """Every target with its result; None for one that could not be used; its error has been printed, and is added to
    `failed`. As many as `workers` has run side by side; they come in their order all the same. What is `finished` is not run.
    `in_parts`: what there is of a report is shown in a terminal, and is what Ctrl-C leaves."""
    several = len(options.sessions) > 1
    for session, found in _found(options.sessions, workers, finished, in_parts):
        if isinstance(found, ChildResult):
            if options.show_output:
                _show_output(found)
            yield session, found
            continue
        print_error(found, session.target if several else "", options.show_traceback)
        if failed is not None:
            if isinstance(found, InternalError):
                found = ProgramError(f"internal error: {found.summary}")
            failed.append(FailedTarget(session.target, found))
        yield session, None


def _found(
    sessions: Sequence[SessionOptions], workers: Workers, finished: Finished | None, in_parts: bool
) -> Iterator[tuple[SessionOptions, ChildResult | ProgramError | InternalError]]:
    is_local = workers.backend == "local"
    if is_local and 1 in (workers.count, len(sessions)):
        for session in sessions:
            with shown_progress(session.target) as show:
                found = _outcome(session, show, None, finished, show.part if in_parts else None)
            yield session, found
        return
    stop = threading.Event()  # a thread that waits for its child hears no Ctrl-C
    count = workers.count if is_local else len(sessions)
    with nullcontext() if is_local else cluster(workers) as submit, ThreadPoolExecutor(count) as pool:
        run = None if submit is None else partial(_run_far, submit)
        try:
            running = [pool.submit(_outcome, session, None, stop, finished, run=run) for session in sessions]
            for session, future in zip(sessions, running, strict=True):
                yield session, future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def print_error(error: ProgramError | InternalError, target: str = "", show_traceback: bool = False) -> None:
    """Its words may be anybody's: names of files, and what a program raised. `target` is named where there are several."""
    if isinstance(error, InternalError):
        said(f"error: internal error of gradcheck, please report it: {error.summary}")
        said(error.traceback if show_traceback else "help: --traceback shows the details")
        return
    name = f"`{target}`: " if target and target not in error.message else ""
    said(f"error: {name}{error.message}")
    if error.excerpt:
        said(error.excerpt)
    if error.hint:
        said(f"help: {error.hint}")


def said(text: str) -> None:
    """On standard error; that nobody can read it changes nothing."""
    with suppress(OSError):
        click.echo(printable_lines(text), err=True)


def _outcome(
    session: SessionOptions, show: Callable[[Progress], None] | None, stop: threading.Event | None,
    finished: Finished | None, on_part: Callable[[Report], None] | None = None,
    run: Callable[..., ChildResult] | None = None,
) -> ChildResult | ProgramError | InternalError:  # fmt: skip
    run = run or run_in_child
    try:
        if finished is None:
            return run(session, show, stop, on_part)
        return finished.result(session, lambda: run(session, show, stop, on_part))
    except (ProgramError, InternalError) as error:
        return error


def _run_far(submit: Submit, session: SessionOptions, *_: object) -> ChildResult:
    """By a worker of a cluster, which sees the same folder."""
    try:
        found = submit(_run_here, (session, os.getcwd())).result()
    except Exception as error:
        raise ProgramError(f"the worker that ran it failed: {type(error).__name__}: {error}") from None
    if isinstance(found, Exception):
        raise found
    return found  # type: ignore[no-any-return]


def _run_here(asked: tuple[SessionOptions, str]) -> ChildResult | ProgramError | InternalError:
    session, folder = asked
    os.chdir(folder)
    return _outcome(session, None, None, None)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a terminal shows meanwhile; nothing, if standard error is none."""

    progress: Callable[[Progress], None]
    part: Callable[[Report], None]

    def __call__(self, now: Progress) -> None:
        self.progress(now)


@contextmanager
def shown_progress(target: str, console: Console | None = None) -> Iterator[Shown]:
    """A spinner with what is being done, and a bar where it is known how much of it; below it, what there is of the report.
    Gone at the end."""
    # Where FORCE_COLOR is set, rich takes a file for a terminal.
    console = console or Console(stderr=True, force_terminal=sys.stderr.isatty())
    if not console.is_terminal:
        yield Shown(lambda now: None, lambda part: None)
        return
    from rich import progress
    from rich.table import Column

    bar = progress.BarColumn(bar_width=24, table_column=Column(width=24))
    text = progress.TextColumn(
        "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")
    )
    below: list[Text] = []

    class Display(progress.Progress):
        def get_renderables(self) -> Iterable[RenderableType]:
            yield from super().get_renderables()
            yield from below

    with Display(progress.SpinnerColumn(), text, console=console, transient=True) as display:
        task = display.add_task(_words(Progress(Stage.LOADING), target), total=None)

        def show(now: Progress) -> None:
            columns = [column for column in display.columns if column is not bar]
            display.columns = tuple(columns) if now.fraction is None else (*columns, bar)
            display.update(
                task,
                description=_words(now, target),
                total=None if now.fraction is None else 1.0,
                completed=now.fraction or 0.0,
                refresh=True,
            )

        def part(report: Report) -> None:
            from gradcheck.report import terminal

            below[:] = terminal.so_far(report, console.width)

        yield Shown(show, part)


def _words(now: Progress, target: str) -> str:
    return now.detail or _STAGES[now.stage].format(target)


def _show_output(result: ChildResult) -> None:
    for text in (result.stdout, result.stderr):
        if text:
            click.echo(text, err=True, nl=not text.endswith("\n"))
