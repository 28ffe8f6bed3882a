"""Tries a way to call the layer, without a recording: whether it runs, and whether what `backward` returns fits."""

from __future__ import annotations

import numpy as np
import torch

from gradcheck.base.errors import NothingToCheckError
from gradcheck.fronts.gradient_names import parse
from gradcheck.layers.arrays import array_word, as_tensor, is_floating
from gradcheck.layers.driver import LayerStep, drive
from gradcheck.layers.fused import GivesGradients
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Trial, build, own_random_numbers

FITS = 2


def runs(subject: Subject, trial: Trial) -> str | None:
    """None if `forward` runs and gives finite numbers, else why not."""
    with own_random_numbers(trial.seed):
        try:
            built = build(subject, trial)
        except Exception as error:
            return f"the constructor raised {message_of(error)}"
        try:
            result = built.forward(*built.inputs.values(), **built.named)
        except Exception as error:
            return f"`forward` raised {message_of(error)}"
        first = result[0] if isinstance(result, (tuple, list)) and result else result
        if isinstance(built.layer, GivesGradients):
            both = built.layer.apart(result)
            first = both[0] if both is not None else None
            first = np.float64(first) if type(first) is float else first
        output = as_tensor(first) if is_floating(first) else None
        if output is None:
            return f"`forward` returned no {array_word()} of floats"
        if not bool(output.isfinite().all()):
            return "the output of `forward` is not finite"
        if not output.numel():
            return "the output of `forward` is empty"
    return None


def hands_on(subject: Subject, trial: Trial) -> bool:
    """Whether `forward` returns the very input that it was given, as it was."""
    with own_random_numbers(trial.seed):
        built, before = build(subject, trial), build(subject, trial)
        result = built.forward(*built.inputs.values(), **built.named)
    first = result[0] if isinstance(result, (tuple, list)) and result else result
    for name, given in built.inputs.items():
        if given is first and is_floating(given):
            now, was = as_tensor(given), as_tensor(before.inputs[name])
            return now is not None and was is not None and torch.equal(now, was)
    return False


def fit_of(subject: Subject, trial: Trial) -> int:
    """How well the inputs were guessed, as `backward` sees it: 0 if it raises, FITS if it returns for every input a
    gradient of its shape. A guess that broadcasts in `forward` is seen through here."""
    with own_random_numbers(trial.seed):
        try:
            built = build(subject, trial)
            step = drive(built.layer, tuple(built.inputs.values()), built.named, lambda name, tensor: None)
        except (Exception, NothingToCheckError):
            return 0
        if isinstance(built.layer, GivesGradients):
            return FITS if _fits_its_names(step) else 1
    shapes = [tuple(tensor.shape) for _, tensor in step.inputs]
    returned = [tuple(tensor.shape) for _, tensor in step.returned]
    return FITS if returned[: len(shapes)] == shapes else 1


def _fits_its_names(step: LayerStep) -> bool:
    """Whether each gradient has the shape of the input that its name says it is of."""
    inputs = {name.lower(): array.shape for name, array in step.inputs}
    for name, (key, array) in zip(step.said, step.returned, strict=True):
        shape = inputs.get((key or parse(name).stem or "").lower())
        if shape is not None and shape != array.shape:
            return False
    return True


def message_of(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__
