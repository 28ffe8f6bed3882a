"""Programs taken one after the other by a few forked processes; what one of them breaks stays in its own child."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

import click

from benchmarks.planted.subjects import Subject
from tests.support import ChildFailedError, in_child

Trial = TypeVar("Trial")
_HOURS = 4 * 3600.0


def each_in_a_child(
    subjects: Sequence[Subject],
    trials_of: Callable[[Subject], list[Trial]],
    shown: Callable[[list[Trial]], str],
    jobs: int,
) -> list[Trial]:
    """The trials of all programs, in the order of the programs; on standard error, how far it is."""
    found: dict[str, list[Trial]] = {}
    started = time.monotonic()
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        waiting = {pool.submit(_one, subject, trials_of): subject for subject in subjects}
        for future in as_completed(waiting):
            subject = waiting[future]
            found[subject.name], problem = future.result()
            what = problem or shown(found[subject.name])
            click.echo(
                f"[{len(found)}/{len(subjects)}, {time.monotonic() - started:.0f} s] {subject.name}: {what}",
                err=True,
            )
    return [trial for subject in subjects for trial in found[subject.name]]


def _one(subject: Subject, trials_of: Callable[[Subject], list[Trial]]) -> tuple[list[Trial], str]:
    try:
        return in_child(partial(trials_of, subject), timeout_s=_HOURS), ""
    except ChildFailedError as error:
        return [], f"could not be used: {error}"
