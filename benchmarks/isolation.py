"""python -m benchmarks.isolation: what controlled experiments cost, and what they say of day70.

Three tables. A replayed training step against the program's own loop, run bare. The same trainings by one worker process
and by two. And day70 isolated, with the repaired network held against models/two_layer.py trained for as many steps.
"""

from __future__ import annotations

import ast
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import pandas as pd
import torch

from benchmarks.measuring import MODELS, environment, in_turns, markdown, training_part
from gradcheck.base.options import SessionOptions
from gradcheck.isolation.experiment import Experiment, ExperimentOptions
from gradcheck.isolation.parallel import WorkerPool, Workers
from gradcheck.isolation.run import Faults, IsolationOptions, Listener, isolate
from gradcheck.isolation.tasks import Task, perform
from gradcheck.process.child import run_in_child
from gradcheck.report.isolation import ranking, tables

AIM_OF_A_STEP = 2.0
AIM_OF_TWO_WORKERS = 1.6
_CLOSE = 0.05  # nats: two networks at the same loss, as far as a few seeds can tell


def own_loop(program: Path, steps: int) -> tuple[Callable[[], None], list[float]]:
    """The program's own training loop, for so many steps; everything before it is done once. And where its losses are."""
    tree = ast.parse(training_part(program))
    at = next(
        i
        for i, node in enumerate(tree.body)
        if any(isinstance(n, ast.For) and _trains(n) for n in ast.walk(node))
    )
    before = compile(ast.Module(tree.body[:at], []), str(program), "exec")
    loop = compile(ast.Module(tree.body[at:], []), str(program), "exec")
    namespace: dict[str, Any] = {"__name__": "__main__", "print": lambda *a, **k: None}
    _in_folder(MODELS, lambda: exec(before, namespace))
    namespace["max_steps"] = steps
    return lambda: exec(loop, namespace), namespace["losses"]


def _trains(loop: ast.For) -> bool:
    return "max_steps" in ast.unparse(loop.iter)


def _in_folder(folder: Path, action: Callable[[], None]) -> None:
    import os

    before = os.getcwd()
    os.chdir(folder)
    try:
        action()
    finally:
        os.chdir(before)


def task(program: Path, steps: int, all_gradients: bool = False, seed: int = 1) -> Task:
    return Task(SessionOptions(str(program)), 0, (), (), seed, steps, max(1, steps // 10), all_gradients)


def step_table(steps: int, turns: int) -> pd.DataFrame:
    rows = []
    for name in ("two_layer", "three_layer", "day70"):
        program = MODELS / f"{name}.py"
        loop, _ = own_loop(program, steps)
        perform(task(program, 1))
        perform(task(program, 1, True))
        times = in_turns(
            {
                "own": loop,
                "replayed": partial(perform, task(program, steps)),
                "true": partial(perform, task(program, steps, True)),
            },
            turns,
        )
        for what, words in (("replayed", "as written"), ("true", "every gradient replaced")):
            ratio = float((times[what] / times["own"]).median())
            rows.append(
                {
                    "program": name,
                    "variant": words,
                    "own loop, ms a step": f"{times['own'].median() * 1e3 / steps:.2f}",
                    "replayed, ms a step": f"{times[what].median() * 1e3 / steps:.2f}",
                    "ratio": f"{ratio:.2f}",
                    "aim": f"<= {AIM_OF_A_STEP:g}",
                    "reached": "yes" if ratio <= AIM_OF_A_STEP else "no",
                }
            )
    return pd.DataFrame(rows)


def workers_table(steps: int, seeds: int) -> pd.DataFrame:
    """Seconds on the wall from the first worker's start to the last outcome: two workers both import torch and both
    record the program."""
    experiment = Experiment(task(MODELS / "day70.py", steps), [], ExperimentOptions(seeds, steps))
    seconds = {}
    for count in (1, 2):
        begun = time.perf_counter()
        with WorkerPool(Workers(count)) as pool:
            pool.survey(experiment.tasks[0])
            outcomes = dict(pool.perform(dict(enumerate(experiment.tasks))))
        seconds[count] = time.perf_counter() - begun
        assert not any(outcome.error for outcome in outcomes.values())
    ratio = seconds[1] / seconds[2]
    row = {
        "trainings": len(experiment.tasks),
        "steps": steps,
        "1 worker, s": f"{seconds[1]:.1f}",
        "2 workers, s": f"{seconds[2]:.1f}",
        "throughput": f"{ratio:.2f}",
        "aim": f">= {AIM_OF_TWO_WORKERS:g}",
        "reached": "yes" if ratio >= AIM_OF_TWO_WORKERS else "no",
    }
    return pd.DataFrame([row])


def day70(steps: int, seeds: int, jobs: int | None) -> None:
    session = SessionOptions(str(MODELS / "day70.py"))
    report = run_in_child(session).report
    faults = Faults(report.passes, report.findings, report.health.updates)
    with tempfile.TemporaryDirectory() as folder:
        options = IsolationOptions(
            Path(folder, "day70.jsonl"), ExperimentOptions(seeds, steps), Workers(jobs), layers=True
        )
        found = isolate(faults, session, options, Listener())
    click.echo(ranking(found) + "\n")
    for table in tables(found):
        click.echo(f"{table.title}:\n")
        headings, rows = table.shown()
        click.echo(
            pd.DataFrame(rows, columns=headings).to_markdown(index=False, disable_numparse=True) + "\n"
        )
    shares = [cost.share for cost in found.costs if cost.share is not None]
    written, repaired = found.as_written, found.all_repaired
    assert written is not None
    assert repaired is not None
    assert written.loss is not None
    assert repaired.loss is not None
    click.echo(
        f"the shares add up to {sum(shares):.6f}, the whole gain is {written.loss - repaired.loss:.6f}"
    )
    two = [perform(task(MODELS / "two_layer.py", steps, seed=seed)).loss for seed in found.seeds]
    mean = sum(two) / len(two)
    reached = "at or below" if repaired.loss <= mean + _CLOSE else "above"
    click.echo(f"repaired {repaired.loss:.4f}, {reached} models/two_layer.py, {mean:.4f}")


@click.command()
@click.option("--steps", type=click.IntRange(10), default=1000, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--turns", type=click.IntRange(1), default=5, show_default=True)
@click.option("--jobs", type=click.IntRange(1))
@click.option("--only", type=click.Choice(["steps", "workers", "day70"]))
def main(steps: int, seeds: int, turns: int, jobs: int | None, only: str | None) -> None:
    """Print what controlled experiments cost, and the table of day70, as Markdown."""
    torch.set_num_threads(1)
    click.echo(f"{environment()}\n")
    if only in (None, "steps"):
        few = max(10, steps // 5)
        click.echo(f"A replayed step; medians of {turns} turns of {few} steps, processor time:\n")
        click.echo(markdown(step_table(few, turns)) + "\n")
    if only in (None, "workers"):
        click.echo("Two workers against one, start included, on the wall:\n")
        click.echo(markdown(workers_table(steps, 8 * seeds)) + "\n")
    if only in (None, "day70"):
        day70(steps, seeds, jobs)


if __name__ == "__main__":
    main()
