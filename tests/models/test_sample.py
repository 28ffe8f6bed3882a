"""Sampling, all words at once."""

import pytest
import torch

from models.mlp import MLP
from models.sample import sample
from models.words import END, Vocabulary


@pytest.fixture
def model() -> MLP:
    model = MLP(5, 3, 4, [16], torch.Generator().manual_seed(0), dtype=torch.float64).eval()
    model.state()["4.weight"].mul_(20)  # so that what comes next depends on what came before
    return model


def sampled(model: MLP, n: int, max_length: int, seed: int = 0):
    return sample(model, n, max_length, torch.Generator().manual_seed(seed))


def test_same_seed_same_words(model: MLP) -> None:
    first, again, other = (sampled(model, 50, 10, seed).numbers for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_word_is_letters_then_its_end(model: MLP) -> None:
    samples = sampled(model, 500, 10)
    for row, length in zip(samples.numbers.tolist(), samples.lengths().tolist(), strict=True):
        assert END not in row[:length]
        assert set(row[length:]) <= {END}
    vocabulary = Vocabulary("abcd")
    assert [len(word) for word in samples.words(vocabulary)] == samples.lengths().tolist()


def test_the_length_limit_is_hard_and_says_what_it_cut(model: MLP) -> None:
    model.state()["4.bias"][END] = -1e9
    samples = sampled(model, 7, 12)
    assert samples.lengths().tolist() == [12] * 7
    assert not samples.finished.any()


def test_a_word_that_ends_just_at_the_limit_is_finished(model: MLP) -> None:
    samples = sampled(model, 3000, 1)
    ended = samples.finished & (samples.lengths() == 1)
    assert ended.any()
    assert not samples.finished.all()


def test_words_that_end_at_once(model: MLP) -> None:
    model.state()["4.bias"][END] = 1e9
    samples = sampled(model, 4, 12)
    assert samples.words(Vocabulary("abcd")) == [""] * 4
    assert samples.finished.all()


def test_letters_follow_each_other_as_the_network_says(model: MLP) -> None:
    """The share of each second letter after each first one, against the network's own probabilities."""
    samples = sampled(model, 40_000, 3).numbers
    for first in range(1, 5):
        context = torch.tensor([[END, END, first]])
        expected = torch.softmax(model.forward(context), 1)[0]
        seconds = samples[samples[:, 0] == first, 1]
        assert len(seconds) > 1000
        shares = torch.bincount(seconds, minlength=5) / len(seconds)
        torch.testing.assert_close(shares.double(), expected, rtol=0, atol=0.05)
