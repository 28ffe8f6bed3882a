"""python -m models.regression: three layers against two, and what each fault of day70.py does to three."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import click
import pandas as pd
import torch
from joblib import Parallel, delayed
from torch import Tensor

from models.faults import Faults, train_with
from models.figures import faults_figure
from models.sample import sample
from models.settings import Settings
from models.trainer import DivergedError, Trainer
from models.words import BUNDLED, read_words

TWO, THREE = "two layers", "three layers"
DAY_70 = "all four, as in day70.py"
FAULTS = {
    "BatchNorm 2 multiplies": Faults(multiplies_by_std=True),
    "backward skips BatchNorm 2": Faults(skips_backward=True),
    "both of these": Faults(multiplies_by_std=True, skips_backward=True),
    "stale calibration": Faults(stale_calibration=True),
    "learning rate 0.0005": Faults(small_steps=True),
    "all but the learning rate": Faults(multiplies_by_std=True, skips_backward=True, stale_calibration=True),
    DAY_70: Faults(multiplies_by_std=True, skips_backward=True, stale_calibration=True, small_steps=True),
}
SAMPLES, MAX_LENGTH = 10_000, 30
SHORT = 2  # letters of a short name
RECENT = 1000  # steps that the loss at the end is a mean of


@dataclass(frozen=True)
class Outcome:
    """What came of one run; losses are nan and lengths empty if it diverged."""

    network: str
    seed: int
    losses: list[float]
    validation: float
    lengths: Tensor  # (SAMPLES)

    def row(self) -> dict[str, float | str]:
        lengths = self.lengths.double()
        return {
            "network": self.network,
            "training loss": sum(self.losses[-RECENT:]) / len(self.losses[-RECENT:]),
            "validation loss": self.validation,
            "mean length": lengths.mean().item(),
            f"at most {SHORT} letters": (lengths <= SHORT).double().mean().item(),
            f"{MAX_LENGTH} letters or more": (lengths == MAX_LENGTH).double().mean().item(),
        }


def run(network: str, settings: Settings, words: list[str]) -> Outcome:
    """Train that network and sample from it."""
    try:
        if network in FAULTS:
            trainer = train_with(FAULTS[network], settings, words)
        else:
            trainer = Trainer(settings, words)
            trainer.run()
    except DivergedError:
        return Outcome(network, settings.seed, [float("nan")], float("nan"), torch.empty(0))
    _, validation = trainer.evaluate()
    samples = sample(trainer.model, SAMPLES, MAX_LENGTH, torch.Generator().manual_seed(settings.seed))
    return Outcome(network, settings.seed, trainer.losses, validation, samples.lengths())


def share_of_lengths(lengths: Tensor, longest: int) -> list[str]:
    """Percent of the words with 0, 1, ... letters; the last number is for `longest` letters and more."""
    if len(lengths) == 0:
        return [""] * (longest + 1)
    counts = torch.bincount(lengths.clamp(max=longest), minlength=longest + 1)
    return [f"{count:.1%}" for count in (counts / len(lengths)).tolist()]


def write_report(outcomes: list[Outcome], words: list[str], head: str, output: Path) -> None:
    """Tables in Markdown at output, a figure of the same name beside it."""
    frame = pd.DataFrame([outcome.row() for outcome in outcomes])
    means = frame.groupby("network", sort=False).mean()
    seeds = sorted({outcome.seed for outcome in outcomes})
    loss = {(outcome.network, outcome.seed): outcome.validation for outcome in outcomes}
    duel = pd.DataFrame({name: [loss[name, seed] for seed in seeds] for name in (TWO, THREE)}, index=seeds)
    won = sum(loss[THREE, seed] <= loss[TWO, seed] for seed in seeds)
    right, wrong, short = means.loc[THREE], means.loc[DAY_70], f"at most {SHORT} letters"

    real = torch.tensor([len(word) for word in words])
    lengths = {"the words themselves": real}
    for name in means.index:
        lengths[name] = torch.cat([outcome.lengths for outcome in outcomes if outcome.network == name])
    table = pd.DataFrame({name: share_of_lengths(each, 12) for name, each in lengths.items()}).T
    table.columns = [*map(str, range(12)), "12 or more"]

    figure = output.with_suffix(".png")
    curves = {each.network: each.losses for each in outcomes if each.seed == seeds[0]}
    faults_figure({name: curves[name] for name in (TWO, THREE, DAY_70)}, lengths, figure)
    formats = {
        column: ".1%" if "letters" in str(column) else ".2f" if "length" in str(column) else ".4f"
        for column in means
    }
    shown = pd.DataFrame(
        {column: [format(value, how) for value in means[column]] for column, how in formats.items()},
        index=means.index,
    ).replace(["nan", "nan%"], "")
    diverged = frame["validation loss"].isna().groupby(frame["network"], sort=False).sum()
    shown.insert(0, "diverged", [f"{count} of {len(seeds)}" if count else "" for count in diverged])
    summary = fill(
        f"All four faults together end at a training loss of {wrong['training loss']:.2f} where the right network "
        f"reaches {right['training loss']:.2f}, and {wrong[short]:.0%} of the names they make up have at most "
        f"{SHORT} letters, against {right[short]:.1%} of those of the right network and "
        f"{(real <= SHORT).double().mean().item():.1%} of the real ones.",
        width=110,
        break_on_hyphens=False,
    )
    text = f"""# Three layers beat two

{head}

## Right networks: validation loss

{duel.to_markdown(floatfmt=".4f", headers=["seed", TWO, THREE])}

Three layers are at or below two on {won} of {len(seeds)} seeds.

## Three layers with the faults of `models/day70.py`

Means over the seeds whose run did not diverge (the loss became infinite or not a number). The training loss is
that of the last {RECENT:,} batches. Lengths are those of {SAMPLES:,} sampled names for each seed, cut at {MAX_LENGTH} letters.

{shown.to_markdown(disable_numparse=True)}

{summary}

## Letters of a name

{table.to_markdown()}

![Training loss, and letters of a name]({figure.name})
"""
    output.write_text(text, encoding="utf-8")


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path), default=BUNDLED, help="One word per line; default: bundled."
)
@click.option(
    "--about", default="the bundled list of 5,163 names", show_default=True, help="What that data is."
)
@click.option("--steps", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each network.")
@click.option("--jobs", type=int, default=2, show_default=True, help="Runs at a time.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The report, in Markdown.")
def main(data: Path, about: str, steps: int, seeds: int, jobs: int, output: Path) -> None:
    """Train right networks of two and three layers, and three layers with each fault of day70.py."""
    words = read_words(data)
    networks = [TWO, THREE, *FAULTS]
    every = [
        (network, Settings(layers=2 if network == TWO else 3, steps=steps, seed=seed))
        for network in networks
        for seed in range(70, 70 + seeds)
    ]
    outcomes = Parallel(n_jobs=jobs, verbose=5)(
        delayed(run)(name, settings, words) for name, settings in every
    )
    options = "" if data == BUNDLED else f' --data {data.name} --about "{about}"'
    settings = every[0][1]
    head = fill(
        f"Trained on {about}; {settings.validation:.0%} of the different names are kept for validation. All networks "
        f"take {steps:,} steps of batch {settings.batch} with a {settings.schedule} schedule from {settings.lr}: "
        f"context {settings.context}, embedding {settings.embedding}, hidden {settings.hidden}, "
        f"{settings.activation}. A seed decides the split, the weights and the batches. Made by",
        width=110,
        break_on_hyphens=False,
    )
    command = f"python -m models.regression{options} --steps {steps} --seeds {seeds} --output {output}"
    head += f"\n\n    {command}"
    write_report(outcomes, words, head, output)


if __name__ == "__main__":
    main()
