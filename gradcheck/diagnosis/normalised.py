"""Tells whether a value is normalised: mean 0 and standard deviation 1, per feature over the batch or per sample."""

import torch

_MEAN = 1e-5  # of the standard deviation; float64 leaves 1e-16
# The share by which a standard deviation may miss 1: n against n - 1 at a batch of 8 is 7 %, and eps is 1 % of a
# variance of 1e-3.
_SPREAD = 0.08


def is_centred(tensor: torch.Tensor) -> bool:
    return any(_centred(tensor, axis) for axis in _axes(tensor))


def is_normalised(tensor: torch.Tensor) -> bool:
    return any(
        _centred(tensor, axis)
        and bool(((_deviation(tensor, axis) - 1).abs() < _SPREAD).double().mean() > 0.9)
        for axis in _axes(tensor)
    )


def _axes(tensor: torch.Tensor) -> tuple[int, ...]:
    """Over the batch (batch normalisation) and over the features (layer normalisation)."""
    return (0, tensor.ndim - 1) if tensor.ndim >= 2 and tensor.is_floating_point() else ()


def _centred(tensor: torch.Tensor, axis: int) -> bool:
    if tensor.shape[axis] < 3:
        return False
    deviation = _deviation(tensor, axis)
    return bool((deviation > 0).any()) and bool((tensor.mean(axis).abs() <= _MEAN * deviation + 1e-12).all())


def _deviation(tensor: torch.Tensor, axis: int) -> torch.Tensor:
    return tensor.std(axis, correction=0)
