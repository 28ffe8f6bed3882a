"""A training run: its state, and the loop."""

import math
from collections.abc import Callable

import torch

from models.evaluation import calibrate, mean_loss
from models.loss import SoftmaxCrossEntropy
from models.mlp import MLP
from models.optim import SGD, make_schedule
from models.settings import Settings
from models.words import Dataset, Vocabulary, build_dataset, fingerprint, split_words


class DivergedError(ArithmeticError):
    """The loss is no longer a number; the message says what to try, in one line."""


class Trainer:
    """Trains an MLP on words. The same settings and words give the same network, bit for bit, on one machine."""

    def __init__(self, settings: Settings, words: list[str], make_model: Callable[..., MLP] = MLP) -> None:
        # so small a network only loses by sharing its work among threads, and loses its reproducibility as well
        torch.set_num_threads(1)
        self.settings = settings
        self.vocabulary = Vocabulary.of(words)
        self.words = fingerprint(words)
        train_words, validation_words = split_words(words, settings.validation, settings.seed)
        self.train_data = self.make_dataset(train_words)
        self.validation_data = self.make_dataset(validation_words)
        # one generator for all: the weights, then batches and dropout masks in turn
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.model = settings.make_model(len(self.vocabulary), self.generator, make_model)
        self.criterion = SoftmaxCrossEntropy()
        self.optimiser = SGD(make_schedule(settings.schedule, settings.lr, settings.steps))
        self.losses: list[float] = []

    def make_dataset(self, words: list[str]) -> Dataset:
        """The examples of those words."""
        return build_dataset(words, self.vocabulary, self.settings.context)

    @property
    def step(self) -> int:
        """How many steps have been taken."""
        return len(self.losses)

    @property
    def done(self) -> bool:
        return self.step >= self.settings.steps

    def train_step(self) -> None:
        """Forward, backward, update on one batch."""
        contexts, targets = self.train_data.draw(self.settings.batch, self.generator)
        logits = self.model.forward(contexts)
        loss = self.criterion.forward(logits, targets).item()
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} at step {self.step:,}: try a lower learning rate")
        self.model.backward(self.criterion.backward())
        self.optimiser.update(self.model.parameters(), self.step)
        self.losses.append(loss)

    def run(self, until: int | None = None, after_step: Callable[[], bool] = lambda: True) -> None:
        """Train to that step (default: to the end), and at the end calibrate the network for evaluation.

        after_step is called between steps, where the run can be saved; it stops the run by returning False.
        """
        stop = self.settings.steps if until is None else min(until, self.settings.steps)
        going_on = True
        while going_on and self.step < stop:
            self.train_step()
            going_on = after_step()
        # not at an earlier stop: a run that goes on later must find the running statistics as it left them
        if self.done:
            calibrate(self.model, self.train_data.contexts)

    def evaluate(self) -> tuple[float, float]:
        """The loss over all training words and over all validation words (nan if there are none)."""
        return mean_loss(self.model, self.train_data), mean_loss(self.model, self.validation_data)
