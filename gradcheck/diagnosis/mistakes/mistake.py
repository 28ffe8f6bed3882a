"""What a mistake is: the edits that repair it, the wrong number it predicts, and the sentence a person reads."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.writing import Edit, Spot

Predict = Callable[[Scene], torch.Tensor | None]


@dataclass(frozen=True, slots=True)
class Prediction:
    """`predict` computes what a program with the mistake would have found at a point, or None where the mistake
    cannot be made. `sentence` is a template: `parts` are values, ops and gradients, shown as the person calls them
    once the prediction is confirmed. `evidence` may hold values as well."""

    kind: str
    predict: Predict
    sentence: str | Callable[[], str]
    parts: Mapping[str, object] = field(default_factory=dict)
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a gradient is wrong: `sentence` is one line, said only of what reproduces the wrong number."""

    kind: str
    sentence: str
    evidence: dict[str, Any] = field(default_factory=dict)  # plain data


@dataclass(frozen=True, slots=True)
class Mistake:
    """One entry of the catalogue. `edits` gives what could be meant at one place of the source, `predictions` what
    the mistake would make of one gradient; either may be missing where another entry covers it."""

    name: str
    edits: Callable[[Spot], Iterator[Edit]] | None = None
    predictions: Callable[[Case], Iterator[Prediction]] | None = None
