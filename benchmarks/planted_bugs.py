"""python -m benchmarks.planted_bugs: how many planted bugs are found, and where they are said to be.

Every right program of tests/programs and models has its backward lines changed, one change at a time, in the
ways people get them wrong (benchmarks/planted/arithmetic.py, tensors.py). What is counted is a change after
which the gradients are others, at the recorded parameters or at jittered ones; how many of the rest there
were is told below the table. `torch.autograd.gradcheck` and `allclose` are asked about the same programs, as
far as a step can be put to them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import click
import pandas as pd
import torch

from benchmarks.measuring import environment, markdown
from benchmarks.planted.pool import each_in_a_child
from benchmarks.planted.scenes import KINDS
from benchmarks.planted.subjects import LIBRARIES, Subject, find_subjects
from benchmarks.planted.trials import CHANGED, Settings, Trial, fates, trials_of


def run_all(subjects: list[Subject], settings: Settings, jobs: int) -> list[Trial]:
    """The trials of all programs, in the order of the programs."""

    def shown(trials: list[Trial]) -> str:
        counted = [trial for trial in trials if trial.fate == CHANGED]
        return (
            f"{len(counted)} bugs, {sum(not trial.right_line for trial in counted)} not found where they are"
        )

    return each_in_a_child(subjects, partial(trials_of, settings=settings), shown, jobs)


def table(trials: Iterable[Trial], *, baselines: bool) -> pd.DataFrame:
    """One row per kind of wrong gradient, one for all of them, and one for what is wrong in optimisers."""
    trials = [trial for trial in trials if trial.fate == CHANGED]
    kinds = dict.fromkeys(kind.name for kind in KINDS)
    rows = []
    groups = {f"`{kind}`": [t for t in trials if t.kind == kind and not t.in_optimiser] for kind in kinds}
    groups["**all, of gradients**"] = [trial for trial in trials if not trial.in_optimiser]
    groups["**in hand-written optimisers**"] = [trial for trial in trials if trial.in_optimiser]
    for title, some in groups.items():
        if some:
            rows.append(_row(title, some, baselines))
    return pd.DataFrame(rows)


def _row(title: str, trials: list[Trial], baselines: bool) -> dict[str, object]:
    row: dict[str, object] = {"kind": title, "bugs": len(trials)}
    for column, attribute in (
        ("detected", "detected"), ("right line first", "right_line"), ("explained", "explained"),
        ("fix proved", "fix_found"), ("fix is the original", "fix_restores"),
    ):  # fmt: skip
        row[column] = sum(getattr(trial, attribute) for trial in trials)
    row["false alarms"] = sum(len(trial.false_alarms) for trial in trials)
    for name in ("gradcheck", "allclose") if baselines else ():
        asked = [answer for trial in trials if (answer := getattr(trial, name)) is not None]
        row[f"torch {name}"] = f"{sum(asked)} of {len(asked)}"
    return row


@click.command()
@click.option("--only", metavar="KIND", help="One kind of bug.")
@click.option("--programs", metavar="GLOB", default="*", help="Programs by file name.")
@click.option("--library", type=click.Choice(LIBRARIES), default=LIBRARIES[0], help="What the programs use.")
@click.option(
    "--per-kind", type=click.IntRange(1), default=3, show_default=True, help="Bugs of each kind and program."
)
@click.option("--sample", type=click.IntRange(1), metavar="N", help="N changes, spread over the programs.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--no-baselines", is_flag=True, help="Without gradcheck and allclose.")
@click.option("--fix-budget", type=float, help="Seconds for the search of a fix.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Every bug with what was said of it."
)
def main(
    only: str | None, programs: str, library: str, per_kind: int, sample: int | None, seed: int, jobs: int,
    no_baselines: bool, fix_budget: float | None, json_file: Path | None,
) -> None:  # fmt: skip
    """Print how the planted bugs fared, as a Markdown table."""
    if only is not None and only not in {kind.name for kind in KINDS}:
        raise click.BadParameter("one of: " + ", ".join(kind.name for kind in KINDS), param_hint="--only")
    torch.set_num_threads(1)
    started = time.monotonic()
    subjects = find_subjects(programs, library)
    settings = Settings(only, per_kind, seed, not no_baselines, fix_budget)
    if sample is not None:
        settings = replace(settings, share=-(-sample // len(subjects)))
    trials = run_all(subjects, settings, jobs)
    click.echo(f"{environment()}; {len(subjects)} right programs, {time.monotonic() - started:.0f} s\n")
    click.echo(markdown(table(trials, baselines=not no_baselines)))
    others = {fate: count for fate, count in fates(trials).items() if fate != CHANGED}
    click.echo("\nNot counted: " + (", ".join(f"{n} {fate}" for fate, n in sorted(others.items())) or "none"))
    missed = [t for t in trials if t.fate == CHANGED and (not t.right_line or t.false_alarms)]
    for trial in missed:
        click.echo(f"\n- {trial.name}: `{trial.was}` -> `{trial.became}`")
        for line in trial.said or ["every gradient is called correct"]:
            click.echo(f"    {line}")
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(trial) for trial in trials], indent=1))


if __name__ == "__main__":
    sys.exit(main())
