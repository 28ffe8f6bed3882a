"""What an explanation is, and what has to be shown before it may be said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from gradcheck.diagnosis.explanations.scene import Scene


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a gradient is wrong: `sentence` is one line, said only of what reproduces the wrong number."""

    kind: str
    sentence: str
    evidence: dict[str, Any] = field(default_factory=dict)  # plain data


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A supposed mistake. `predict` computes what a program with that mistake would have found at a point, or
    None where the mistake cannot be made; words are made only once it is proved."""

    kind: str
    predict: Callable[[Scene], torch.Tensor | None]
    sentence: Callable[[], str]
    evidence: dict[str, Any] = field(default_factory=dict)
