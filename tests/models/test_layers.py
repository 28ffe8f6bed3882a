"""Every gradient against autograd, in float64."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from models.layers import BatchNorm1d, Dropout, Embedding, Layer, LeakyReLU, Linear, LinearWithoutBias, Tanh
from models.loss import SoftmaxCrossEntropy

N, FEATURES, OUTPUTS = 7, 5, 4
TOLERANCE = 1e-12


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def jittered_batch_norm() -> BatchNorm1d:
    """Not as it is born: gamma = 1 and beta = 0 hide mistakes."""
    layer = BatchNorm1d(FEATURES, torch.float64)
    for tensor in layer.state().values():
        tensor.copy_(torch.rand_like(tensor) + 0.5)
    return layer


LAYERS: dict[str, Callable[[], Layer]] = {
    "linear": lambda: Linear(draw(FEATURES, OUTPUTS), draw(OUTPUTS)),
    "linear without bias": lambda: LinearWithoutBias(draw(FEATURES, OUTPUTS)),
    "batch norm": jittered_batch_norm,
    "tanh": Tanh,
    "leaky relu": LeakyReLU,
    "relu": lambda: LeakyReLU(0.0),
    "dropout": lambda: Dropout(0.4, torch.Generator().manual_seed(1)),
}


def assert_equal_gradients(manual: Tensor, true: Tensor) -> None:
    assert manual.shape == true.shape
    torch.testing.assert_close(manual, true, rtol=TOLERANCE, atol=TOLERANCE)


def freeze_statistics(layer: Layer) -> None:
    """autograd must not watch what is kept for evaluation."""
    if isinstance(layer, BatchNorm1d):
        layer.keep_statistics = lambda *_: None  # type: ignore[method-assign]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_a_layer(name: str, training: bool) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]()
    layer.training = training
    freeze_statistics(layer)
    inputs = draw(N, FEATURES).requires_grad_()
    parameters = [getattr(layer, name).requires_grad_() for name in layer.parameter_names]
    outputs = layer.forward(inputs)
    d_outputs = draw(*outputs.shape)
    true = torch.autograd.grad(outputs, [inputs, *parameters], d_outputs)
    with torch.no_grad():
        d_inputs = layer.backward(d_outputs)
    assert_equal_gradients(d_inputs, true[0])
    for (_, gradient), expected in zip(layer.parameters(), true[1:], strict=True):
        assert_equal_gradients(gradient, expected)


def test_gradient_of_an_embedding_adds_up_over_all_places_of_a_letter() -> None:
    weight = draw(6, 3).requires_grad_()
    contexts = torch.tensor([[0, 0, 1], [2, 0, 1]])
    layer = Embedding(weight)
    outputs = layer.forward(contexts)
    d_outputs = draw(2, 9)
    (true,) = torch.autograd.grad(outputs, weight, d_outputs)
    layer.backward(d_outputs)
    assert_equal_gradients(layer.d_weight, true)


def test_gradient_of_the_loss() -> None:
    logits = draw(N, OUTPUTS).requires_grad_()
    targets = torch.randint(OUTPUTS, (N,))
    criterion = SoftmaxCrossEntropy()
    (true,) = torch.autograd.grad(criterion.forward(logits, targets), logits)
    assert_equal_gradients(criterion.backward(), true)


def test_leaky_relu_at_zero_agrees_with_torch() -> None:
    inputs = torch.zeros(1, 1, requires_grad=True)
    (true,) = torch.autograd.grad(F.leaky_relu(inputs).sum(), inputs)
    layer = LeakyReLU()
    layer.forward(inputs.detach())
    assert torch.equal(layer.backward(torch.ones(1, 1)), true)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_batch_norm_agrees_with_torch(training: bool) -> None:
    layer = jittered_batch_norm()
    layer.training = training
    mean, variance = layer.running_mean.clone(), layer.running_variance.clone()
    inputs = draw(N, FEATURES)
    theirs = F.batch_norm(inputs, mean, variance, layer.gamma, layer.beta, training)
    torch.testing.assert_close(layer.forward(inputs), theirs, rtol=TOLERANCE, atol=TOLERANCE)
    torch.testing.assert_close(layer.running_mean, mean, rtol=TOLERANCE, atol=TOLERANCE)
    torch.testing.assert_close(layer.running_variance, variance, rtol=TOLERANCE, atol=TOLERANCE)


def test_batch_norm_refuses_to_train_on_one_row() -> None:
    with pytest.raises(ValueError, match="cannot train on a batch of one"):
        BatchNorm1d(3).forward(torch.randn(1, 3))


def test_dropout_keeps_the_mean_and_rests_in_evaluation() -> None:
    layer = Dropout(0.25, torch.Generator().manual_seed(0))
    inputs = torch.ones(1000, 100)
    outputs = layer.forward(inputs)
    assert outputs.unique().tolist() == pytest.approx([0, 4 / 3])
    assert outputs.mean().item() == pytest.approx(1, abs=0.01)
    layer.training = False
    assert layer.forward(inputs) is inputs


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_dropout_refuses_a_rate_it_cannot_scale_by(rate: float) -> None:
    with pytest.raises(ValueError, match="0 <= rate < 1"):
        Dropout(rate, torch.Generator())


def test_leaky_relu_refuses_a_slope_that_its_backward_cannot_do() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        LeakyReLU(1.5)
