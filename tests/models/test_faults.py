"""The network that is wrong on purpose is wrong in just the ways it says."""

import pytest
import torch

from models.faults import Faults, FaultyMLP, train_with
from models.layers import BatchNorm1d
from models.mlp import MLP
from models.settings import Settings


def make_models(faults: Faults) -> tuple[MLP, FaultyMLP]:
    def options() -> dict:
        generator = torch.Generator().manual_seed(0)
        return {
            "letters": 9, "context": 3, "embedding": 4, "hidden": [8, 8],
            "generator": generator, "dtype": torch.float64,
        }  # fmt: skip

    return MLP(**options()), FaultyMLP(faults, **options())


@pytest.mark.parametrize("training", [True, False])
def test_second_batch_norm_multiplies(training: bool) -> None:
    right, wrong = make_models(Faults(multiplies_by_std=True))
    inputs = torch.randn(16, 8, dtype=torch.float64)
    for model in (right, wrong):
        model.train(training)
    divided, multiplied = right.layers[4].forward(inputs), wrong.layers[4].forward(inputs)
    variance = inputs.var(0, correction=0) if training else torch.ones(8)
    torch.testing.assert_close(multiplied, divided * (variance + 1e-5))
    torch.testing.assert_close(right.layers[1].forward(inputs), wrong.layers[1].forward(inputs))


def test_skipped_backward_changes_only_what_comes_before_it() -> None:
    right, wrong = make_models(Faults(skips_backward=True))
    contexts = torch.randint(9, (16, 3))
    d_logits = torch.randn(16, 9, dtype=torch.float64)
    for model in (right, wrong):
        model.forward(contexts)
        model.backward(d_logits)
    same = [
        torch.equal(expected, gradient)
        for (_, expected), (_, gradient) in zip(right.parameters(), wrong.parameters(), strict=True)
    ]
    # embedding; weight, gamma, beta; weight | gamma, beta; weight, bias
    assert same == [False] * 5 + [True] * 4
    assert torch.equal(wrong.layers[3].d_weight, wrong.layers[3].inputs.T @ wrong.layers[5].d_inputs)


def test_stale_calibration_leaves_the_first_batch_norm_alone(words: list[str]) -> None:
    settings = Settings(hidden=16, steps=50)
    right = train_with(Faults(), settings, words)
    wrong = train_with(Faults(stale_calibration=True), settings, words)
    statistics = [
        torch.equal(right.model.state()[name], wrong.model.state()[name])
        for name in ("2.running_mean", "5.running_mean")
    ]
    assert statistics == [True, False]
    assert right.losses == wrong.losses


def test_without_faults_it_is_the_right_network(words: list[str]) -> None:
    from models.trainer import Trainer

    settings = Settings(hidden=16, steps=50)
    right = Trainer(settings, words)
    right.run()
    assert train_with(Faults(), settings, words).evaluate() == right.evaluate()


def test_small_steps(words: list[str]) -> None:
    trainer = train_with(Faults(small_steps=True), Settings(hidden=16, steps=3), words)
    assert trainer.optimiser.schedule(0) == 0.0005
    assert any(isinstance(layer, BatchNorm1d) for layer in trainer.model.layers)
