"""python -m benchmarks.models_speed: how fast the networks of models/ train and sample. Prints Markdown.

All contestants run in one process on one thread, in turns, a few steps at a time: what else the machine does
meets all of them alike. A figure is the median over the turns; a ratio is the median of the ratios of a turn.
"""

import platform
import time
from collections.abc import Callable, Mapping

import click
import pandas as pd
import torch

from benchmarks.training_steps import (
    BATCH,
    CONTEXT,
    RATE,
    Step,
    autograd,
    inline,
    make_model,
    manual,
    modules,
)
from models.loss import SoftmaxCrossEntropy
from models.mlp import MLP
from models.optim import SGD, constant
from models.sample import sample
from models.words import BUNDLED, END, Dataset, Vocabulary, build_dataset, read_words

STEPS = 20  # in one turn
ONE_BY_ONE = 200  # names sampled singly in one turn
SAMPLES, MAX_LENGTH = 10_000, 30


def sample_one_by_one(model: MLP, n: int, generator: torch.Generator) -> None:
    """As a notebook spells it out: one name after another, one letter after another."""
    for _ in range(n):
        context = [END] * model.context
        for _ in range(MAX_LENGTH):
            logits = model.forward(torch.tensor([context]))
            letter = torch.multinomial(torch.softmax(logits, 1), 1, generator=generator).item()
            context = [*context[1:], int(letter)]
            if letter == END:
                break


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare(contestants: Mapping[str, Callable[[], object]], turns: int) -> pd.DataFrame:
    """Seconds of each contestant at each turn; the first turn warms up and is not counted."""
    rows = [{name: seconds(action) for name, action in contestants.items()} for _ in range(turns + 1)]
    return pd.DataFrame(rows[1:])


def repeat(step: Step) -> Step:
    def steps() -> None:
        for _ in range(STEPS):
            step()

    return steps


def training_table(data: Dataset, letters: int, turns: int) -> pd.DataFrame:
    others = {
        "eager autograd, same forward": autograd,
        "torch.nn and torch.optim": modules,
        "inline, double loop": inline,
    }
    rows = []
    for hidden, activation in (
        ([200], "tanh"),
        ([200, 200], "tanh"),
        ([200, 200], "leaky-relu"),
        ([64, 64], "tanh"),
    ):
        makers = {"manual": manual, **others}
        steps = {name: repeat(make(data, letters, hidden, activation)) for name, make in makers.items()}
        times = compare(steps, turns)
        row = {
            "hidden": f"{hidden}, {activation}",
            "manual, steps/s": f"{STEPS / times['manual'].median():,.0f}",
        }
        for name in others:
            row[name] = f"{(times[name] / times['manual']).median():.2f} times the manual time"
        rows.append(row)
    return pd.DataFrame(rows)


def sampling_table(data: Dataset, letters: int, turns: int) -> pd.DataFrame:
    model = make_model(letters, [200, 200], "leaky-relu")
    criterion, optimiser, generator = (
        SoftmaxCrossEntropy(),
        SGD(constant(RATE)),
        torch.Generator().manual_seed(0),
    )
    for _ in range(1000):  # until names have about the length of names
        contexts, targets = data.draw(BATCH, generator)
        criterion.forward(model.forward(contexts), targets)
        model.backward(criterion.backward())
        optimiser.update(model.parameters(), 0)
    model.eval()
    times = compare(
        {
            "batched": lambda: sample(model, SAMPLES, MAX_LENGTH, generator),
            "single": lambda: sample_one_by_one(model, ONE_BY_ONE, generator),
        },
        turns,
    )
    per_name = times["single"] / ONE_BY_ONE
    return pd.DataFrame(
        {
            "10,000 names at once": [f"{times['batched'].median():.3f} s"],
            "one at a time": [f"{per_name.median() * SAMPLES:.1f} s"],
            "ratio": [f"{(per_name * SAMPLES / times['batched']).median():.0f}"],
        }
    )


@click.command()
@click.option("--turns", type=click.IntRange(1), default=60, show_default=True)
def main(turns: int) -> None:
    """Print how fast the networks of models/ train and sample, as Markdown."""
    torch.set_num_threads(1)
    words = read_words(BUNDLED)
    vocabulary = Vocabulary.of(words)
    data = build_dataset(words, vocabulary, CONTEXT)
    click.echo(f"torch {torch.__version__}, Python {platform.python_version()}, one thread; {turns} turns\n")
    click.echo(f"Training, batch {BATCH}:\n")
    click.echo(training_table(data, len(vocabulary), turns).to_markdown(index=False))
    click.echo(f"\nSampling (one at a time: measured on {ONE_BY_ONE} names a turn and scaled up):\n")
    click.echo(sampling_table(data, len(vocabulary), max(turns // 6, 1)).to_markdown(index=False))


if __name__ == "__main__":
    main()
