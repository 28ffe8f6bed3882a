"""Small programs of many styles that train on all of their data in every step, so that a replay of the step can be held
against the program's own loop, loss for loss."""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from gradcheck.isolation.training import Trainer
from gradcheck.judge.judgement import judge_recording
from tests.support import record_source, torch_settings_kept

DATA = """
import torch
torch.manual_seed(3)
X = torch.randn(24, 5)
Y = (X[:, 0] * X[:, 1] > 0).long()
N = X.shape[0]
W1 = torch.randn(5, 6) * 0.5
b1 = torch.zeros(6)
W2 = torch.randn(6, 2) * 0.5
b2 = torch.zeros(2)
losses = []
"""
FORWARD = """
    h = torch.tanh(X @ W1 + b1)
    logits = h @ W2 + b2
    loss = torch.nn.functional.cross_entropy(logits, Y)
    losses.append(loss.item())
    dlogits = torch.softmax(logits, 1)
    dlogits[range(N), Y] -= 1
    dlogits = dlogits / N
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dh = dlogits @ W2.T
    dz = dh * (1 - h ** 2)
    dW1 = X.T @ dz
    db1 = dz.sum(0)
"""
LOOP = "for step in range(STEPS):"
UPDATE = """
    for p, g in zip([W1, b1, W2, b2], [dW1, db1, dW2, db2]):
        p -= 0.5 * g
"""
STEPS = 12


def program(*parts: str) -> str:
    return "\n".join(textwrap.dedent(part) if not part.startswith("\n    ") else part for part in parts)


def inline(update: str = UPDATE, before: str = "", head: str = LOOP, forward: str = FORWARD) -> str:
    return f"{DATA}\n{before}\n{head}{forward}{update}\n"


def trainer_of(source: str, at: tuple[int, ...] = (0,), index: int = -1) -> Trainer:
    recorded = record_source(source.replace("STEPS", str(STEPS)), at=at)
    with torch_settings_kept():
        judgement = judge_recording(recorded.recording, recorded.program.sources)
    return Trainer(judgement, judgement.passes[index])


def own_losses(source: str) -> list[float]:
    """Of the program's own loop."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, torch_settings_kept():
        path = Path(folder, "program.py")
        path.write_text(source.replace("STEPS", str(STEPS)))
        exec(compile(path.read_text(), str(path), "exec"), namespace)
    return [float(loss) for loss in namespace["losses"]]


def replayed_losses(trainer: Trainer, replaced: Iterable[Any] = (), steps: int = STEPS) -> list[float]:
    return trainer.train(list(replaced), 1, steps).losses


def same(left: list[float], right: list[float], tolerance: float = 1e-6) -> bool:
    return len(left) == len(right) and torch.allclose(
        torch.tensor(left).double(), torch.tensor(right).double(), rtol=tolerance, atol=0.0
    )
