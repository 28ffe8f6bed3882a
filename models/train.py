"""python -m models.train: train a network on words, see how it goes, keep it for models.sample."""

import signal
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.checkpoint import CheckpointError, resume, save
from models.figures import loss_curve
from models.mlp import ACTIVATIONS
from models.optim import SCHEDULES
from models.settings import Settings, SettingsError
from models.trainer import DivergedError, Trainer
from models.words import BUNDLED, DataError, read_words

REFRESH = 100  # steps between two looks at the progress bar: one at every step would cost as much as the step


def setting(name: str, kind: Any, text: str) -> Callable[[Any], Any]:
    """The option for a field of Settings, with its default."""
    return click.option(f"--{name}", type=kind, default=getattr(Settings, name), show_default=True, help=text)


@click.command()
@setting("layers", click.IntRange(1), "Linear layers: the hidden ones and the last.")
@setting("hidden", click.IntRange(1), "Features of each hidden layer.")
@setting("context", click.IntRange(1), "Letters the network sees.")
@setting("embedding", click.IntRange(1), "Features of a letter.")
@setting("activation", click.Choice(list(ACTIVATIONS)), "What follows each BatchNorm1d.")
@setting("dropout", click.FloatRange(0, 1, max_open=True), "Share of the hidden features to drop.")
@setting("steps", click.IntRange(1), "Length of the run.")
@setting("batch", click.IntRange(2), "Examples per step.")
@setting("lr", click.FloatRange(0, min_open=True), "Learning rate at its highest.")
@setting("schedule", click.Choice(SCHEDULES), "How the learning rate changes over the run.")
@setting(
    "seed", click.IntRange(0, 2**63 - 1), "Decides the split, the weights, the batches and what is dropped."
)
@setting("validation", click.FloatRange(0, 1, max_open=True), "Share of the words to validate on.")
@setting("dtype", click.Choice(["float32", "float64"]), "Precision of all numbers.")
@click.option(
    "--data", type=click.Path(path_type=Path), default=BUNDLED, help="One word per line; default: bundled."
)
@click.option(
    "--until", type=click.IntRange(1), help="Stop early, at this step; --resume goes on to --steps."
)
@click.option("--save", "target", type=click.Path(path_type=Path), help="Write the run here, also on Ctrl-C.")
@click.option("--resume", "source", type=click.Path(path_type=Path), help="Go on with the run in this file.")
@click.option("--figure", type=click.Path(path_type=Path), help="Draw the loss here (.png, .svg or .pdf).")
def main(
    data: Path,
    until: int | None,
    target: Path | None,
    source: Path | None,
    figure: Path | None,
    **settings: Any,
) -> None:
    """Train a multi-layer perceptron with hand-written backward passes to predict the next letter of a word.

    Ctrl-C stops after the current step.
    """
    try:
        refuse_paths(target, figure)
        words = read_words(data)
        if source is None:
            trainer = Trainer(Settings(**settings), words)
        else:
            refuse_changes()
            trainer = resume(source, words)
        report_data(trainer)
        interrupted = train(trainer, until)
        if target is not None:
            save(trainer, target)
        training, validation = trainer.evaluate()
    except (DataError, SettingsError, CheckpointError, DivergedError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"step {trainer.step:,}: training loss {training:.4f}, validation loss {validation:.4f}")
    if figure is not None:
        loss_curve(trainer.losses, validation, figure)
    if interrupted:
        click.get_current_context().exit(130)  # what a shell reports for a program ended by Ctrl-C


def refuse_paths(target: Path | None, figure: Path | None) -> None:
    """Say at once, rather than after the run, that its results cannot be written."""
    for path in (target, figure):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise click.BadParameter(f"{path}: not a file in an existing directory")
    if figure is not None and figure.suffix not in (".png", ".svg", ".pdf"):
        raise click.BadParameter(f"{figure}: a figure is a .png, .svg or .pdf")


def refuse_changes() -> None:
    """A run that is resumed with other settings would not be the same run."""
    context = click.get_current_context()
    for field in fields(Settings):
        if context.get_parameter_source(field.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{field.name} is decided by the run that is resumed")


def report_data(trainer: Trainer) -> None:
    """One line on what is trained on what."""
    size = trainer.model.size()
    click.echo(
        f"{len(trainer.train_data):,} examples to train on, {len(trainer.validation_data):,} to validate on, "
        f"{len(trainer.vocabulary):,} letters, {size:,} parameters"
    )


def train(trainer: Trainer, until: int | None) -> bool:
    """Run with a progress bar; was it interrupted?"""
    interrupted = False

    def interrupt(*_: object) -> None:
        # an exception here could end a step half done, and such a step cannot be resumed bit for bit
        nonlocal interrupted
        interrupted = True

    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TextColumn("{task.fields[speed]:,.0f} steps/s"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    before = signal.signal(signal.SIGINT, interrupt)
    start, first = time.perf_counter(), trainer.step
    try:
        with bar:
            task = bar.add_task("train", total=trainer.settings.steps, loss=float("nan"), speed=0)

            def after_step() -> bool:
                if trainer.step % REFRESH == 0 or trainer.done:
                    recent = trainer.losses[-REFRESH:]
                    speed = (trainer.step - first) / (time.perf_counter() - start)
                    bar.update(task, completed=trainer.step, loss=sum(recent) / len(recent), speed=speed)
                return not interrupted

            trainer.run(until, after_step)
    finally:
        signal.signal(signal.SIGINT, before)
    return interrupted


if __name__ == "__main__":
    main()
