"""A replayed step in a loop trains as the program's own loop does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.isolation.programs import (
    FORWARD,
    inline,
    own_losses,
    replayed_losses,
    same,
    trainer_of,
)

FUNCTIONS = """
import torch
torch.manual_seed(3)
X = torch.randn(24, 5)
Y = (X[:, 0] * X[:, 1] > 0).long()
params = {"W1": torch.randn(5, 6) * 0.5, "b1": torch.zeros(6), "W2": torch.randn(6, 2) * 0.5, "b2": torch.zeros(2)}
losses = []

def forward(params, x):
    z = x @ params["W1"] + params["b1"]
    h = z.clamp(min=0)
    return h @ params["W2"] + params["b2"], (x, z, h)

def backward(params, cache, dlogits):
    x, z, h = cache
    grads = {}
    grads["W2"] = h.t() @ dlogits
    grads["b2"] = dlogits.sum(0)
    dz = (dlogits @ params["W2"].t()) * (z > 0)
    grads["W1"] = x.t() @ dz
    grads["b1"] = dz.sum(0)
    return grads

def update(params, grads, lr):
    for key in params:
        params[key] = params[key] - lr * grads[key]

for i in range(STEPS):
    logits, cache = forward(params, X)
    probs = torch.softmax(logits, 1)
    loss = -torch.log(probs[torch.arange(24), Y]).mean()
    losses.append(loss.item())
    dlogits = probs.clone()
    dlogits[torch.arange(24), Y] -= 1
    dlogits /= 24
    update(params, backward(params, cache, dlogits), 0.3)
"""
CLASSES = """
import torch
torch.manual_seed(3)
X = torch.randn(24, 5)
T = torch.randn(24, 2)
losses = []

class Linear:
    def __init__(self, n, m):
        self.W = torch.randn(n, m) * 0.4
        self.b = torch.zeros(m)
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(0)
        return dout @ self.W.T
    def step(self, lr):
        self.W -= lr * self.dW
        self.b -= lr * self.db

class Tanh:
    def forward(self, x):
        self.out = torch.tanh(x)
        return self.out
    def backward(self, dout):
        return dout * (1 - self.out ** 2)
    def step(self, lr):
        pass

layers = [Linear(5, 7), Tanh(), Linear(7, 2)]
for epoch in range(STEPS):
    out = X
    for layer in layers:
        out = layer.forward(out)
    loss = ((out - T) ** 2).mean()
    losses.append(loss.item())
    dout = 2 * (out - T) / out.numel()
    for layer in reversed(layers):
        dout = layer.backward(dout)
    for layer in layers:
        layer.step(0.2)
"""
MOMENTUM = """
    vW1 = 0.9 * vW1 + dW1
    vW2 = 0.9 * vW2 + dW2
    W1 = W1 - 0.2 * vW1
    W2 = W2 - 0.2 * vW2
"""
DATA_ATTRIBUTE = """
    for p, g in [(W1, dW1), (b1, db1), (W2, dW2), (b2, db2)]:
        p.data = p.data - 0.3 * g
"""
STYLES = {
    "inline": inline(),
    "rebinding and momentum": inline(MOMENTUM, "vW1 = torch.zeros_like(W1)\nvW2 = torch.zeros_like(W2)"),
    "through .data": inline(DATA_ATTRIBUTE),
    "functions with dictionaries": FUNCTIONS,
    "classes": CLASSES,
}


@pytest.mark.parametrize("style", STYLES)
def test_the_replay_trains_as_the_program_does(style: str) -> None:
    trainer = trainer_of(STYLES[style])
    own = own_losses(STYLES[style])
    assert own[-1] < 0.95 * own[0]
    assert same(replayed_losses(trainer), own)


@pytest.mark.parametrize("style", STYLES)
def test_true_gradients_change_nothing_in_a_right_program(style: str) -> None:
    trainer = trainer_of(STYLES[style])
    assert len(trainer.gradients) >= 4
    assert same(replayed_losses(trainer, trainer.gradients), own_losses(STYLES[style]), 1e-4)


def test_training_begins_with_the_recorded_step() -> None:
    trainer = trainer_of(inline(), at=(5,))
    assert same(replayed_losses(trainer, steps=5), own_losses(inline())[5:10])


def test_a_replaced_gradient_is_the_true_one_from_then_on() -> None:
    """The wrong line is repaired, and what is computed from it with it; the rest is as it was."""
    wrong = inline(forward=FORWARD.replace("dh * (1 - h ** 2)", "dh * (1 - h)"))
    trainer = trainer_of(wrong)
    (key,) = [key for key in trainer.gradients if key.name == "dz"]
    assert not same(replayed_losses(trainer), own_losses(inline()), 1e-3)
    assert same(replayed_losses(trainer), own_losses(wrong))
    assert same(replayed_losses(trainer, [key]), own_losses(inline()), 1e-5)


def test_a_part_of_the_gradients_is_replaced_and_the_others_stay_wrong() -> None:
    both = FORWARD.replace("db2 = dlogits.sum(0)", "db2 = dlogits.mean(0)").replace(
        "db1 = dz.sum(0)", "db1 = -dz.sum(0)"
    )
    trainer = trainer_of(inline(forward=both))
    (key,) = [key for key in trainer.gradients if key.name == "db1"]
    one = inline(forward=FORWARD.replace("db2 = dlogits.sum(0)", "db2 = dlogits.mean(0)"))
    assert same(replayed_losses(trainer, [key]), own_losses(one), 1e-5)


MINIBATCH = "\n    rows = torch.randint(0, N, (8,))\n    x, y = X[rows], Y[rows]" + FORWARD.replace(
    "X ", "x "
).replace("X.T", "x.T").replace("Y", "y").replace("N", "8")


def test_minibatches_are_drawn_anew_and_the_same_for_the_same_seed() -> None:
    trainer = trainer_of(inline(forward=MINIBATCH))
    first = trainer.train((), 1, 9).losses
    assert "randint" in trainer.draws
    assert len(set(first)) == 9
    assert trainer.train((), 1, 9).losses == first
    assert trainer.train((), 2, 9).losses != first
    assert same(trainer.train(trainer.gradients, 1, 9).losses, first, 1e-4)


SLICES = MINIBATCH.replace(
    "rows = torch.randint(0, N, (8,))", "rows = slice(8 * (step % 3), 8 * (step % 3) + 8)"
)


def test_rows_are_chosen_anew_where_the_program_takes_slices() -> None:
    trainer = trainer_of(inline(forward=SLICES))
    assert "other rows" in trainer.draws
    losses = trainer.train((), 1, 9).losses
    assert len({round(loss, 4) for loss in losses[:3]}) == 3


def test_a_program_without_draws_says_so() -> None:
    assert trainer_of(inline()).draws == "the same in every step: the program chooses none"


DROPOUT = (
    MINIBATCH.replace(
        "logits = h @", "mask = (torch.rand(h.shape) > 0.5) / 0.5\n    h = h * mask\n    logits = h @"
    )
    .replace("dz = dh * (1 - h ** 2)", "dz = dh * mask * (1 - t ** 2)")
    .replace("h = torch.tanh", "h = t = torch.tanh")
)


def test_a_dropout_mask_is_drawn_anew() -> None:
    trainer = trainer_of(inline(forward=DROPOUT))
    assert "`rand`" in trainer.draws
    plain = trainer.train((), 1, 9).losses
    assert same(trainer.train(trainer.gradients, 1, 9).losses, plain, 1e-4)


def test_training_that_diverges_ends_there() -> None:
    trainer = trainer_of(inline("\n    W1 = W1 + 1e30 * torch.exp(W1 * 1e3)\n    W2 = W2 - dW2\n"))
    training = trainer.train((), 1, 300)
    assert training.diverged_at is not None
    assert training.diverged_at < 10
    assert len(training.losses) == training.diverged_at
    assert training.smoothed(5) != training.smoothed(5)


def test_a_step_that_moves_nothing_is_refused() -> None:
    from gradcheck.isolation.step import CannotIsolateError

    with pytest.raises(CannotIsolateError, match="moves no parameter"):
        trainer_of(inline("\n    pass\n"))


ALIAS = FORWARD.replace(
    "db1 = dz.sum(0)",
    "db1 = torch.zeros(6)\n    flat = db1.view(2, 3)\n    db1 += 2 * dz.sum(0)\n    b1 -= 0.5 * flat.view(6)",
)
TWO = """
    for p, g in zip([W1, W2, b2], [dW1, dW2, db2]):
        p -= 0.5 * g
"""


def test_a_gradient_that_is_read_through_a_view_is_replaced_in_place() -> None:
    trainer = trainer_of(inline(TWO, forward=ALIAS))
    (key,) = [key for key in trainer.gradients if key.name == "db1"]
    assert same(replayed_losses(trainer), own_losses(inline(TWO, forward=ALIAS)))
    assert same(replayed_losses(trainer, [key]), own_losses(inline()), 1e-5)


def test_what_only_replaced_gradients_were_made_of_is_not_computed() -> None:
    trainer = trainer_of(inline())
    written, replaced = trainer.compiled(()).source, trainer.compiled(trainer.gradients).source
    assert len(replaced.splitlines()) < len(written.splitlines())


ADAM = """
    for i, (p, g) in enumerate(zip([W1, b1, W2, b2], [dW1, db1, dW2, db2])):
        m[i].mul_(0.9).add_(g, alpha=0.1)
        m_hat = m[i] / (1 - 0.9 ** (step + 1))
        p -= 0.3 * m_hat
"""
MOMENTS = "m = [torch.zeros_like(p) for p in [W1, b1, W2, b2]]"


def test_what_is_computed_from_a_momentum_is_no_gradient() -> None:
    """In the first step it equals one."""
    trainer = trainer_of(inline(ADAM, MOMENTS))
    assert {key.name for key in trainer.gradients} == {"dlogits", "dW2", "db2", "dh", "dz", "dW1", "db1"}
    assert same(replayed_losses(trainer, trainer.gradients), own_losses(inline(ADAM, MOMENTS)), 1e-4)


MICRO = """
    dW1 = torch.zeros_like(W1)
    dW2 = torch.zeros_like(W2)
    loss = 0
    for x, y in zip(X.chunk(2), Y.chunk(2)):
        z = x @ W1
        h = torch.tanh(z)
        logits = h @ W2
        loss = loss + torch.nn.functional.cross_entropy(logits, y) / 2
        dlogits = torch.softmax(logits, 1)
        dlogits[range(12), y] -= 1
        dlogits /= 24
        dh = dlogits @ W2.T
        dz = dh * (1 - h ** 2)
        dW2 += h.T @ dlogits
        dW1 += x.T @ dz
    losses.append(loss.item())
    W1 -= 0.5 * dW1
    W2 -= 0.5 * dW2
"""


def test_a_gradient_may_be_finished_before_all_of_the_loss_is_computed() -> None:
    right = inline("", forward=MICRO)
    wrong = inline("", forward=MICRO.replace("dh * (1 - h ** 2)", "dh * (1 - h)"))
    trainer = trainer_of(wrong)
    (key,) = [key for key in trainer.gradients if key.name == "dz"]
    assert same(replayed_losses(trainer), own_losses(wrong))
    assert same(replayed_losses(trainer, [key]), own_losses(right), 1e-5)


def test_a_buffer_that_every_step_fills_anew_holds_a_gradient() -> None:
    program = Path(__file__).parent.parent / "programs" / "classes_filled_in_place.py"
    trainer = trainer_of(program.read_text())
    assert {"self.grad_weight", "self.grad_bias"} <= {key.name for key in trainer.gradients}


OVERWRITTEN = (
    FORWARD.replace(
        "logits = h @ W2", "g = torch.sigmoid(h)\n    kept = g * 1\n    g *= h\n    logits = g @ W2"
    )
    .replace("dW2 = h.T", "dW2 = g.T")
    .replace("dz = dh * (1", "dh = dh * (kept + h * kept * (1 - kept))\n    dz = dh * (1")
)


def test_a_forward_pass_may_overwrite_what_its_derivative_needs() -> None:
    program = inline(forward=OVERWRITTEN)
    trainer = trainer_of(program)
    assert same(replayed_losses(trainer, trainer.gradients), own_losses(program), 1e-4)


ARRAYS = """
import numpy as np
rng = np.random.default_rng(3)
X = rng.standard_normal((24, 5))
W = rng.standard_normal((5, 2))
losses = []
for step in range(STEPS):
    rows = rng.integers(0, 24, 6)
    x = X[rows]
    out = x @ W
    loss = (out**2).sum() / 6
    dout = 2 * out / 6
    dW = x.T @ dout
    W -= 0.01 * dW
    losses.append(loss)
"""


def test_rows_chosen_by_numpy_are_drawn_again() -> None:
    trainer = trainer_of(ARRAYS)
    assert trainer.draws == "fresh draws by `integers` in every step"
    falls = [before - after for before, after in pairwise(replayed_losses(trainer))]
    assert min(falls) < 0 < max(falls)  # of one minibatch alone, it would fall in every step


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        ("rng.standard_normal(X.shape)", "fresh draws by `standard_normal` in every step"),
        ("rng.choice(X[:, 0], X.shape)", "the same in every step: what NumPy drew is not drawn again"),
    ],
)
def test_noise_of_numpy_is_drawn_again_unless_it_depends_on_an_array(draw: str, said: str) -> None:
    noisy = ARRAYS.replace("rows = rng.integers(0, 24, 6)", f"noise = {draw}")
    trainer = trainer_of(noisy.replace("X[rows]", "X + noise"))
    assert trainer.draws == said
    losses = replayed_losses(trainer)
    assert (losses == sorted(losses, reverse=True)) == ("the same" in said)
