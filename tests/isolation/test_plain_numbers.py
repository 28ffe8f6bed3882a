"""Python numbers that change from step to step, held against the program's own loop."""

from __future__ import annotations

import pytest

from tests.isolation.programs import inline, own_losses, replayed_losses, same, trainer_of

FOUR = "zip([W1, b1, W2, b2], [dW1, db1, dW2, db2])"
SCHEDULE = f"""
    lr = 0.5 if step < 4 else 0.05
    for p, g in {FOUR}:
        p -= lr * g
"""
INLINE = f"""
    for p, g in {FOUR}:
        p -= (0.5 * 0.8 ** step) * g
"""
DECAY = f"""
    for p, g in {FOUR}:
        p -= lr * g
    lr *= 0.7
"""
BRANCH = f"""
    if step == 3:
        lr = 0.02
    elif step > 7:
        lr = lr * 0.5
    for p, g in {FOUR}:
        p.add_(g, alpha=-lr)
"""
DROP = f"""
    if step == 6:
        lr /= 10
    for p, g in {FOUR}:
        p -= lr * g
"""
LONG = """
    seen = 0
    for i in range(400):
        for j in range(100):
            seen += j * i
"""
COSINE = f"""
    lr = 0.25 * (1 + math.cos(math.pi * step / 12))
    for p, g in {FOUR}:
        p -= lr * g
"""
FUNCTION = f"""
    for p, g in {FOUR}:
        p -= rate(step) * g
"""
SIZES = f"""
    dW1 = dW1.view(width, hidden)
    lr = 0.5 * 0.8 ** step
    for p, g in {FOUR}:
        p -= lr * g
"""
RATE = """
def rate(i, warm=4):
    if i < warm:
        return 0.5 * (i + 1) / warm
    return 0.5 / (1 + i - warm)
"""
HANDED = f"""
    update({FOUR}, 0.5 * 0.8 ** step)
"""
UPDATE = """
def update(pairs, lr):
    for p, g in pairs:
        p -= lr * g
"""
ADAM = """
    t = step + 1
    for i, (p, g) in enumerate(zip([W1, W2], [dW1, dW2])):
        m[i] = 0.9 * m[i] + 0.1 * g
        v[i] = 0.99 * v[i] + 0.01 * g * g
        m_hat = m[i] / (1 - 0.9 ** t)
        v_hat = v[i] / (1 - 0.99 ** t)
        p -= 0.05 * m_hat / (v_hat.sqrt() + 1e-8)
"""
MOMENTS = "m = [torch.zeros_like(W1), torch.zeros_like(W2)]\nv = [torch.zeros_like(W1), torch.zeros_like(W2)]"
ADAM_CLASS = """
class Adam:
    def __init__(self, params, lr=0.05):
        self.params, self.lr, self.t = params, lr, 0
        self.b1, self.b2 = 0.9, 0.99
        self.m = [torch.zeros_like(p) for p in params]
        self.v = [torch.zeros_like(p) for p in params]
    def step(self, grads):
        self.t += 1
        for i, g in enumerate(grads):
            self.m[i] = self.b1 * self.m[i] + (1 - self.b1) * g
            self.v[i] = self.b2 * self.v[i] + (1 - self.b2) * g ** 2
            m_hat = self.m[i] / (1 - self.b1 ** self.t)
            v_hat = self.v[i] / (1 - self.b2 ** self.t)
            self.params[i] -= self.lr * m_hat / (v_hat.sqrt() + 1e-8)
optimiser = Adam([W1, b1, W2, b2])
"""
STEP = "\n    optimiser.step([dW1, db1, dW2, db2])\n"
WHILE = "step = 0\nwhile step < STEPS:"
COUNTED = SCHEDULE + "    step += 1\n"
PROGRAMS = {
    "a schedule": inline(SCHEDULE),
    "an inline expression": inline(INLINE),
    "a rate that decays": inline(DECAY, "lr = 0.5"),
    "branches": inline(BRANCH, "lr = 0.5"),
    "a cosine": inline(COSINE, "import math"),
    "a cosine of NumPy": inline(COSINE.replace("math.", "np."), "import numpy as np"),
    "after a long loop": inline(LONG + SCHEDULE),
    "sizes beside a rate": inline(SIZES, "width, hidden = 5, 6"),
    "in a dictionary": inline(DECAY.replace("lr", "set['lr']"), "set = {'lr': 0.5}"),
    "a drop": inline(DROP, "lr = 0.5"),
    "a function of the step": inline(FUNCTION, RATE),
    "handed to a function": inline(HANDED, UPDATE),
    "adam": inline(ADAM, MOMENTS),
    "adam as a class": inline(STEP, ADAM_CLASS),
    "a while loop": inline(COUNTED, head=WHILE),
    "steps of two": inline(SCHEDULE, head="for step in range(0, 2 * STEPS, 2):"),
    "enumerated": inline(SCHEDULE, head="for step, _ in enumerate([None] * STEPS):"),
}


@pytest.mark.parametrize("style", PROGRAMS)
def test_numbers_that_follow_from_the_step_are_computed_anew(style: str) -> None:
    trainer = trainer_of(PROGRAMS[style])
    assert trainer.followed
    assert not trainer.frozen
    assert same(replayed_losses(trainer), own_losses(PROGRAMS[style]), 1e-5)


@pytest.mark.parametrize("style", PROGRAMS)
def test_they_go_on_from_the_recorded_step(style: str) -> None:
    trainer = trainer_of(PROGRAMS[style], at=(3,))
    assert not trainer.frozen
    assert same(replayed_losses(trainer, steps=8), own_losses(PROGRAMS[style])[3:11], 1e-5)


CLIPPED = f"""
    norm = sum((g ** 2).sum() for g in [dW1, db1, dW2, db2]).sqrt().item()
    scale = min(1.0, 0.1 / norm)
    for p, g in {FOUR}:
        p -= 0.5 * scale * g
"""
HISTORY = f"""
    lr = 0.5 if len(losses) < 2 or losses[-1] < losses[-2] else 0.1
    for p, g in {FOUR}:
        p -= lr * g
"""


@pytest.mark.parametrize(("update", "name"), [(CLIPPED, "0.5 * scale"), (HISTORY, "lr")])
def test_what_cannot_be_followed_is_listed_with_its_value_and_line(update: str, name: str) -> None:
    source = inline(update)
    trainer = trainer_of(source)
    line = next(i for i, text in enumerate(source.split("\n"), start=1) if "p -= " in text)
    (told,) = trainer.frozen
    assert told.startswith(f"`{name}` = ")
    assert told.endswith(f"in line {line}")


def test_constants_are_not_worth_a_word() -> None:
    source = inline(f"\n    for p, g in {FOUR}:\n        p -= lr * g / batch\n", "lr = 0.5\nbatch = 1")
    trainer = trainer_of(source)
    assert (trainer.followed, trainer.frozen) == ([], [])


LOGGED = """
calls = []

def rate(i):
    calls.append(i)
    return 0.5 / (1 + i)
"""


def test_a_function_that_does_more_than_compute_is_read_and_not_called_again() -> None:
    source = inline(FUNCTION, LOGGED)
    trainer = trainer_of(source)
    assert same(replayed_losses(trainer), own_losses(source), 1e-5)
    (calls,) = {
        tuple(scope.namespace["calls"])
        for scope in trainer.judgement.recording.scopes.values()
        if "calls" in scope.namespace
    }
    assert calls == (0, 0, 0, 0)  # in the recorded step alone


CODE_OF_THEIRS = """
ran = []

class Rate:
    def __float__(self):
        ran.append(1)
        return 0.5
    def __getitem__(self, key):
        ran.append(key)
        return 0.5
    @property
    def now(self):
        ran.append(2)
        return 0.5

rate = Rate()
"""


def test_no_code_of_theirs_runs_while_numbers_are_followed() -> None:
    update = f"\n    lr = (float(rate) + rate[step] + rate.now) / 3\n    for p, g in {FOUR}:\n        p -= lr * g\n"
    trainer = trainer_of(inline(update, CODE_OF_THEIRS))
    (ran,) = {
        tuple(scope.namespace["ran"])
        for scope in trainer.judgement.recording.scopes.values()
        if "ran" in scope.namespace
    }
    assert ran == (1, 0, 2)
    assert not trainer.followed
