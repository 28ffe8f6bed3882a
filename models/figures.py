"""Pictures of a training run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor


def smooth(losses: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The middle and the mean of each hundredth of a run."""
    values = torch.tensor(losses)
    width = max(len(values) // 100, 1)
    means = values[: len(values) // width * width].view(-1, width).mean(1)
    return (torch.arange(len(means)) + 0.5) * width, means


def loss_curve(losses: Sequence[float], validation: float, path: Path) -> None:
    """Draw the loss of each batch, its mean over a hundredth of the run, and the final validation loss."""
    # imported here: it takes longer than the first thousand steps; Figure without pyplot never opens a window
    from matplotlib.figure import Figure

    middle, means = smooth(losses)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(losses, linewidth=0.3, alpha=0.4, label="batch")
    axes.plot(middle, means, label="mean of a hundredth of the run")
    if validation == validation:
        axes.axhline(
            validation, color="black", linestyle="dashed", label=f"validation, at the end: {validation:.4f}"
        )
    axes.set(xlabel="step", ylabel="loss")
    axes.legend()
    figure.savefig(path, dpi=120)


def faults_figure(losses: Mapping[str, Sequence[float]], lengths: Mapping[str, Tensor], path: Path) -> None:
    """Draw the training loss of some networks, and for them and the real words how long the words are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, each in losses.items():
        middle, means = smooth(each)
        left.plot(middle, means, label=name)
    left.set(xlabel="step", ylabel="training loss")
    left.legend()
    first = next(iter(lengths))
    for name in (first, *losses):
        shares = torch.bincount(lengths[name].clamp(max=15), minlength=16) / max(len(lengths[name]), 1)
        style = {"color": "black", "linestyle": "dashed"} if name == first else {}
        right.plot(shares, label=name, **style)
    right.set(xlabel="letters of a name (15: or more)", ylabel="share of names")
    right.legend()
    figure.savefig(path, dpi=100)
