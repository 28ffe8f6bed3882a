"""Training runs on disk. Loading one runs no code from the file: it may hold tensors, numbers and text only."""

import os
import warnings
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.mlp import MLP
from models.settings import Settings
from models.trainer import Trainer
from models.words import Vocabulary

FORMAT = "models.checkpoint 1"
CONTENT = {
    "settings": dict,
    "letters": str,
    "words": str,
    "state": dict,
    "generator": Tensor,
    "losses": Tensor,
}


class CheckpointError(ValueError):
    """The file is no checkpoint, or not one of this run; the message says why, in one line."""


def save(trainer: Trainer, path: Path) -> None:
    """Write the whole run. If that is interrupted, the file stays what it was."""
    content = {
        "format": FORMAT,
        "settings": asdict(trainer.settings),
        "letters": trainer.vocabulary.letters,
        "words": trainer.words,
        "state": trainer.model.state(),
        "generator": trainer.generator.get_state(),
        "losses": torch.tensor(trainer.losses, dtype=torch.float64),
    }
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
        os.replace(partial, path)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error


def resume(path: Path, words: list[str]) -> Trainer:
    """The run as it was saved: it goes on as if it had never been interrupted."""
    content, settings = read(path)
    trainer = Trainer(settings, words)
    if trainer.words != content["words"]:
        raise CheckpointError(f"{path}: was trained on other words than these {len(words):,}")
    fill(trainer.model.state(), content["state"], path)
    if kind(content["generator"]) != kind(trainer.generator.get_state()) or content["losses"].ndim != 1:
        raise CheckpointError(f"{path}: its generator or its losses are damaged")
    trainer.generator.set_state(content["generator"])
    trainer.losses = content["losses"].tolist()
    return trainer


def load_model(path: Path) -> tuple[MLP, Vocabulary]:
    """The network in evaluation mode, and the letters it knows."""
    content, settings = read(path)
    vocabulary = Vocabulary(content["letters"])
    model = settings.make_model(len(vocabulary), torch.Generator())
    fill(model.state(), content["state"], path)
    return model.eval(), vocabulary


def read(path: Path) -> tuple[dict[str, Any], Settings]:
    """What `save` wrote, once it is clear that it did, and the settings in it."""
    try:
        file = BytesIO(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    try:
        with warnings.catch_warnings(action="ignore"):  # about pickles from elsewhere, which the error covers
            # weights_only: a pickle can name any function for the loader to call; this refuses all but tensors
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load has no type of its own for a file it cannot read
        raise CheckpointError(f"{path}: not a checkpoint, or a damaged one") from error
    if (
        not isinstance(content, dict)
        or content.get("format") != FORMAT
        or any(not isinstance(content.get(key), expected) for key, expected in CONTENT.items())
    ):
        raise CheckpointError(f"{path}: not a checkpoint of models.train")
    try:
        return content, Settings(**content["settings"])
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its settings are not those of a training run ({error})") from error


def fill(state: dict[str, Tensor], saved: dict[str, object], path: Path) -> None:
    """Copy saved tensors into those of a network, which must have the same names, shapes and dtypes."""
    if {name: kind(tensor) for name, tensor in state.items()} != {name: kind(saved[name]) for name in saved}:
        raise CheckpointError(f"{path}: its tensors are not those of the network in its settings")
    for name, tensor in state.items():
        value = saved[name]
        assert isinstance(value, Tensor)
        tensor.copy_(value)


def kind(value: object) -> object:
    """What two tensors must have in common for one to be copied into the other."""
    return (value.shape, value.dtype) if isinstance(value, Tensor) else type(value)
