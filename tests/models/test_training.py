"""Training, calibration and evaluation."""

import math

import pytest
import torch

from models.evaluation import CHUNK, calibrate, mean_loss
from models.layers import BatchNorm1d
from models.loss import SoftmaxCrossEntropy
from models.settings import Settings
from models.trainer import DivergedError, Trainer


@pytest.mark.parametrize("layers", [1, 2, 3, 7])
def test_training_learns_at_any_depth(make_trainer, layers: int) -> None:
    trainer = make_trainer(layers=layers, steps=400)
    trainer.run()
    training, validation = trainer.evaluate()
    assert training < 2.75 < math.log(27)
    assert validation < 2.75


def test_same_seed_same_network_other_seed_another(make_trainer) -> None:
    runs = [make_trainer(seed=seed, dropout=0.2) for seed in (1, 1, 2)]
    for trainer in runs:
        trainer.run()
    first, again, other = (trainer.model.state()["1.weight"] for trainer in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_run_stops_where_it_is_told_to(make_trainer) -> None:
    trainer = make_trainer()
    trainer.run(until=10)
    assert (trainer.step, trainer.done) == (10, False)
    trainer.run(after_step=lambda: trainer.step < 15)
    assert trainer.step == 15
    trainer.run(until=1000)
    assert (trainer.step, trainer.done) == (60, True)


def test_a_single_word_is_learned_by_heart() -> None:
    trainer = Trainer(Settings(hidden=32, steps=300), ["anna"])
    trainer.run()
    training, validation = trainer.evaluate()
    assert training < 0.1
    assert math.isnan(validation)


def test_a_run_that_diverges_says_so(make_trainer) -> None:
    trainer = make_trainer()
    trainer.model.state()["0.weight"].fill_(math.inf)
    with pytest.raises(DivergedError, match="at step 0: try a lower learning rate"):
        trainer.run()


@pytest.mark.parametrize("layers", [2, 3, 5])
def test_calibrated_statistics_are_those_of_the_whole_set_at_each_layer(make_trainer, layers: int) -> None:
    trainer = make_trainer(layers=layers, dtype="float64", dropout=0.3)
    trainer.run()
    contexts = trainer.train_data.contexts
    values = trainer.model.eval().embedding.forward(contexts)
    for layer in trainer.model.layers:
        if isinstance(layer, BatchNorm1d):
            torch.testing.assert_close(layer.running_mean, values.mean(0), rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(layer.running_variance, values.var(0), rtol=1e-10, atol=1e-12)
        values = layer.forward(values)


def test_calibration_and_loss_over_several_chunks_are_those_over_one(make_trainer) -> None:
    trainer = make_trainer(dtype="float64")
    contexts, targets = trainer.train_data.draw(2 * CHUNK + 17, trainer.generator)
    calibrate(trainer.model, contexts)
    model = trainer.model.eval()
    first = next(layer for layer in model.layers if isinstance(layer, BatchNorm1d))
    inputs = model.layers[0].forward(model.embedding.forward(contexts))
    torch.testing.assert_close(first.running_variance, inputs.var(0))
    expected = SoftmaxCrossEntropy().forward(model.forward(contexts), targets).item()
    assert mean_loss(model, type(trainer.train_data)(contexts, targets)) == pytest.approx(expected, rel=1e-12)
    assert all(part.training for part in model.parts())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layers": 0}, "layers is 0, but must be at least 1"),
        ({"batch": 1}, "no variance"),
        ({"lr": 0.0}, "positive"),
        ({"lr": math.nan}, "positive"),
        ({"dropout": 1.0}, "just under 1"),
        ({"activation": "relu6"}, "tanh or leaky-relu"),
        ({"schedule": "linear"}, "constant or step or cosine or warm-up"),
        ({"dtype": "float16"}, "float32 or float64"),
        ({"seed": -1}, "seed is -1"),
        ({"hidden": "200"}, "wrong type"),
        ({"steps": True}, "wrong type"),
    ],
)
def test_settings_that_cannot_be_trained_with(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**changed)
