"""What is done with a network between training it and trusting it: fixed statistics, and a loss on other words."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.layers import BatchNorm1d, Embedding, Layer
from models.loss import SoftmaxCrossEntropy
from models.mlp import MLP
from models.words import Dataset

CHUNK = 4096  # rows at once: enough to keep the processor busy, few enough for any machine's memory


def mean_loss(model: MLP, dataset: Dataset) -> float:
    """The loss over all examples in evaluation mode; nan if there are none."""
    if len(dataset) == 0:
        return float("nan")
    model.eval()
    criterion = SoftmaxCrossEntropy()
    total = 0.0
    for contexts, targets in zip(
        torch.split(dataset.contexts, CHUNK), torch.split(dataset.targets, CHUNK), strict=True
    ):
        total += criterion.forward(model.forward(contexts), targets).item() * len(targets)
    model.train()
    return total / len(dataset)


def calibrate(model: MLP, contexts: Tensor) -> None:
    """Set each BatchNorm1d's running statistics to those of its inputs over all of contexts (n, context).

    From the first such layer to the last: what a later one receives depends on the statistics of the earlier.
    """
    model.eval()
    for depth, layer in enumerate(model.layers):
        if isinstance(layer, BatchNorm1d):
            mean, variance = output_statistics(model.embedding, model.layers[:depth], contexts)
            layer.running_mean.copy_(mean)
            layer.running_variance.copy_(variance)
    model.train()


def output_statistics(
    embedding: Embedding, layers: Sequence[Layer], contexts: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and variance (features) of what embedding and layers make of contexts (n, context).

    Chunks are merged after Chan, Golub and LeVeque 1979, in float64: sums of squares would lose the digits of a
    variance that is small beside its mean.
    """
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for chunk in torch.split(contexts, CHUNK):
        values = embedding.forward(chunk)
        for layer in layers:
            values = layer.forward(values)
        values = values.double()
        shift = values.mean(0) - mean
        total = count + len(chunk)
        squares = (
            squares
            + (values - values.mean(0)).square().sum(0)
            + shift.square() * (count * len(chunk) / total)
        )
        mean = mean + shift * (len(chunk) / total)
        count = total
    return mean, squares / max(count - 1, 1)
