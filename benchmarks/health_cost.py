"""python -m benchmarks.health_cost: what the health of a network costs to measure.

The whole health measurement of the recorded step of models/three_layer.py, with a data sweep over 64 fresh
minibatches, is held against 64 plain steps of its training loop. Then the same loop is run for some thousand steps
bare and with every hundredth of them recorded.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import pandas as pd
import torch

from benchmarks.measuring import MODELS, environment, in_turns, markdown, training_part
from benchmarks.recordings import record
from gradcheck.base.options import SessionOptions
from gradcheck.base.thresholds import thresholds_with
from gradcheck.fronts.recorder import Recorder
from gradcheck.health.measure import measure_health
from gradcheck.judge.judgement import judge_recording
from gradcheck.program.program import load
from gradcheck.program.runner import run
from gradcheck.program.target import parse_target

PROGRAM = MODELS / "three_layer.py"
EVERY = 100


class NobodyWatches:
    """Runs a program as the tool does, and records nothing of it."""

    attention = False

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def unit_started(self, unit: object) -> None: ...
    def unit_finished(self, unit: object, namespace: object) -> None: ...
    def iteration_started(self, *told: object) -> None: ...
    def iteration_finished(self, *told: object) -> bool:
        return False


def shortened(steps: int, folder: Path) -> Path:
    """three_layer.py up to the end of a training loop of `steps` steps."""
    text = training_part(PROGRAM).replace('"data/', f'"{MODELS}/data/')
    text, changed = re.subn(r"^max_steps = .*$", f"max_steps = {steps}", text, flags=re.M)
    if changed != 1:
        raise ValueError(f"{PROGRAM}: no line sets max_steps")
    path = folder / f"steps_{steps}.py"
    path.write_text(text, encoding="utf-8")
    return path


def running(path: Path, observer: Callable[[object], object]) -> Callable[[], None]:
    def action() -> None:
        program = load(parse_target(str(path)))
        with contextlib.redirect_stdout(io.StringIO()):
            outcome = run(program, observer(program.sources), timeout_s=600.0)  # type: ignore[arg-type]
        if outcome.faults:
            raise RuntimeError(str(outcome.faults[0]))

    return action


def health_against_steps(turns: int) -> pd.DataFrame:
    recorded = record(PROGRAM)
    judgement = judge_recording(recorded.recording, recorded.sources)
    options = SessionOptions(str(PROGRAM))

    def measured() -> None:
        measure_health(judgement, options, thresholds_with(), lambda text: None)

    with tempfile.TemporaryDirectory() as folder:
        few, many = (shortened(steps, Path(folder)) for steps in (1, options.sweep + 1))
        times = in_turns(
            {
                "health": measured,
                "few": running(few, lambda sources: NobodyWatches()),
                "many": running(many, lambda sources: NobodyWatches()),
            },
            turns,
        ).median()
    steps = times["many"] - times["few"]
    return pd.DataFrame(
        {
            "what": [f"{options.sweep} plain training steps", f"health, {options.sweep} batches"],
            "ms": [f"{1e3 * steps:.1f}", f"{1e3 * times['health']:.1f}"],
            "ratio": ["1.00", f"{times['health'] / steps:.2f}"],
        }
    )


def recording_now_and_then(steps: int, turns: int) -> pd.DataFrame:
    at = tuple(range(0, steps, EVERY))
    with tempfile.TemporaryDirectory() as folder:
        path = shortened(steps, Path(folder))
        times = in_turns(
            {
                "bare": running(path, lambda sources: NobodyWatches()),
                "recorded": running(path, lambda sources: Recorder(sources, at)),  # type: ignore[arg-type]
            },
            turns,
        )
    ratio = (times["recorded"] / times["bare"]).median()
    return pd.DataFrame(
        {
            "what": [f"{steps} steps, bare", f"{steps} steps, every {EVERY}th recorded"],
            "s": [f"{times[name].median():.2f}" for name in ("bare", "recorded")],
            "ratio": ["1.000", f"{ratio:.3f}"],
        }
    )


@click.command()
@click.option("--turns", default=7, show_default=True)
@click.option("--steps", default=3000, show_default=True, help="Of the run with recorded steps.")
def main(turns: int, steps: int) -> None:
    torch.set_num_threads(1)
    click.echo(environment())
    click.echo(markdown(health_against_steps(turns)))
    click.echo()
    click.echo(markdown(recording_now_and_then(steps, turns)))


if __name__ == "__main__":
    main()
