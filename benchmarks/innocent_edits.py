"""python -m benchmarks.innocent_edits: programs rewritten without changing what they compute, and what their reports say then.

Every program of tests/programs, right or wrong, is edited in ways that keep its values (benchmarks/innocent). Each edit
is made on the syntax tree by a general rule, and counts if the program, run without gradcheck, still computes the same
loss and the same gradients. Its report must accuse the lines that the report before accused, and no other.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import click
import pandas as pd
import torch

from benchmarks.innocent.rules import RULES
from benchmarks.innocent.trials import KEPT, EditTrial, edits_of
from benchmarks.measuring import environment, markdown
from benchmarks.planted.pool import each_in_a_child
from benchmarks.planted.subjects import LIBRARIES, all_programs
from benchmarks.planted.trials import Settings


def table(trials: Iterable[EditTrial]) -> pd.DataFrame:
    """One row per kind of edit, and one for all."""
    counted = [trial for trial in trials if trial.fate == KEPT]
    rows = []
    for kind in (*RULES, None):
        some = [trial for trial in counted if kind in (None, trial.kind)]
        if some:
            right, wrong = [t for t in some if t.is_right], [t for t in some if not t.is_right]
            rows.append(
                {
                    "edit": kind or "**all**",
                    "of right programs": len(right),
                    "accused then": sum(bool(t.accused) for t in right),
                    "of wrong programs": len(wrong),
                    "same lines accused": sum(t.is_same for t in wrong),
                    "another line too": sum(bool(t.accused) for t in wrong),
                    "a line no longer": sum(bool(t.missed) for t in wrong),
                    "a gradient unjudged": sum(bool(t.unjudged) for t in some),
                    "no report": sum(bool(t.failed) for t in some),
                }
            )
    return pd.DataFrame(rows)


def told(trial: EditTrial) -> str:
    lines = [f"- {trial.name}: `{trial.what}`"]
    for title in ("accused", "missed", "unjudged"):
        lines += [f"    {title}: {said}" for said in getattr(trial, title)]
    return "\n".join([*lines, *([f"    {trial.failed}"] if trial.failed else [])])


@click.command()
@click.option("--only", metavar="KIND", help="One kind of edit.")
@click.option("--programs", metavar="GLOB", default="*", help="Programs by file name.")
@click.option("--library", type=click.Choice(LIBRARIES), default=LIBRARIES[0], help="What the programs use.")
@click.option(
    "--per-kind", type=click.IntRange(1), default=1, show_default=True, help="Edits of each kind and program."
)
@click.option("--sample", type=click.IntRange(1), metavar="N", help="N edits, spread over the programs.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Every edit with what it changed.")
def main(
    only: str | None,
    programs: str,
    library: str,
    per_kind: int,
    sample: int | None,
    seed: int,
    jobs: int,
    json_file: Path | None,
) -> None:
    """Print what the edits changed, as a Markdown table."""
    if only is not None and only not in RULES:
        raise click.BadParameter("one of: " + ", ".join(RULES), param_hint="--only")
    torch.set_num_threads(1)
    started = time.monotonic()
    subjects = all_programs(programs, library)
    settings = Settings(only, per_kind, seed, baselines=False, fix_budget=0.0)
    if sample is not None:
        settings = replace(settings, share=-(-sample // max(1, len(subjects))))

    def shown(trials: list[EditTrial]) -> str:
        counted = [trial for trial in trials if trial.fate == KEPT]
        return f"{len(counted)} edits, {sum(not trial.is_same for trial in counted)} change a verdict"

    trials = each_in_a_child(subjects, partial(edits_of, settings=settings), shown, jobs)
    click.echo(f"{environment()}; {len(subjects)} programs, {time.monotonic() - started:.0f} s\n")
    click.echo(markdown(table(trials)))
    others = Counter(trial.fate for trial in trials if trial.fate != KEPT)
    click.echo("\nNot counted: " + (", ".join(f"{n} {fate}" for fate, n in sorted(others.items())) or "none"))
    for trial in trials:
        if trial.fate == KEPT and (not trial.is_same or trial.unjudged):
            click.echo("\n" + told(trial))
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(trial) for trial in trials], indent=1))


if __name__ == "__main__":
    sys.exit(main())
