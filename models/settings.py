"""All that decides a training run, apart from the words."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch

from models.mlp import ACTIVATIONS, MLP
from models.optim import SCHEDULES


class SettingsError(ValueError):
    """A run with these settings cannot be trained; the message says why, in one line."""


@dataclass(frozen=True)
class Settings:
    """A value that cannot be trained with is refused here, wherever it came from: the message is one line."""

    layers: int = 3  # linear layers: the hidden ones and the last
    hidden: int = 200
    context: int = 5
    embedding: int = 10
    activation: str = "leaky-relu"
    dropout: float = 0.0
    steps: int = 30_000
    batch: int = 32
    lr: float = 0.3
    schedule: str = "cosine"
    seed: int = 70
    validation: float = 0.1  # share of the words
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not field.type:
                raise SettingsError(f"{field.name}: {value!r} is of the wrong type")
        for name in ("layers", "hidden", "context", "embedding", "steps"):
            self.require(name, getattr(self, name) >= 1, "at least 1")
        self.require("batch", self.batch >= 2, "at least 2: a batch of one has no variance to normalise by")
        self.require("lr", 0 < self.lr < float("inf"), "a positive number")
        self.require("dropout", 0 <= self.dropout < 1, "from 0 to just under 1")
        self.require("validation", 0 <= self.validation < 1, "from 0 to just under 1")
        self.require("seed", 0 <= self.seed < 2**63, "from 0 to 2^63 - 1")
        self.require("activation", self.activation in ACTIVATIONS, " or ".join(ACTIVATIONS))
        self.require("schedule", self.schedule in SCHEDULES, " or ".join(SCHEDULES))
        self.require("dtype", self.dtype in ("float32", "float64"), "float32 or float64")

    def require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise SettingsError(f"{name} is {getattr(self, name)}, but must be {wanted}")

    def make_model(self, letters: int, generator: torch.Generator, make: Callable[..., MLP] = MLP) -> MLP:
        """The untrained network; letters: how many there are, END included."""
        return make(
            letters=letters,
            context=self.context,
            embedding=self.embedding,
            hidden=[self.hidden] * (self.layers - 1),
            generator=generator,
            activation=self.activation,
            dropout=self.dropout,
            dtype=getattr(torch, self.dtype),
        )
