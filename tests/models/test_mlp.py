"""Whole networks: gradients against autograd, and how depth is configured."""

import math

import pytest
import torch

from models.layers import BatchNorm1d
from models.loss import SoftmaxCrossEntropy
from models.mlp import ACTIVATIONS, MLP, one_step

LETTERS, CONTEXT = 9, 3


def make_model(hidden: list[int], activation: str = "tanh", dropout: float = 0.0) -> MLP:
    generator = torch.Generator().manual_seed(0)
    return MLP(LETTERS, CONTEXT, 4, hidden, generator, activation, dropout, torch.float64)


def examples(n: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    contexts = torch.randint(LETTERS, (n, CONTEXT), generator=generator)
    return contexts, torch.randint(LETTERS, (n,), generator=generator)


@pytest.mark.parametrize("dropout", [0.0, 0.3], ids=["no dropout", "dropout"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("depth", range(7))
def test_gradients_of_a_network(depth: int, activation: str, dropout: float) -> None:
    model = make_model([8, 6, 7, 5, 9, 6][:depth], activation, dropout)
    parameters = []
    for part in model.parts():
        if isinstance(part, BatchNorm1d):
            part.keep_statistics = lambda *_: None  # type: ignore[method-assign]
        for name in part.parameter_names:
            # away from gamma = 1 and beta = 0, which hide mistakes
            parameter = getattr(part, name)
            parameters.append(parameter.add_(0.1 * torch.randn_like(parameter)).requires_grad_())
    contexts, targets = examples()
    criterion = SoftmaxCrossEntropy()
    true = torch.autograd.grad(criterion.forward(model.forward(contexts), targets), parameters)
    with torch.no_grad():
        model.backward(criterion.backward())
    for (parameter, gradient), expected in zip(model.parameters(), true, strict=True):
        assert gradient.shape == parameter.shape
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


def test_a_fresh_network_favours_no_letter() -> None:
    contexts, targets = examples(1000)
    for depth in range(1, 7):
        loss = SoftmaxCrossEntropy().forward(make_model([50] * depth).forward(contexts), targets)
        assert loss.item() == pytest.approx(math.log(LETTERS), abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_tensors_have_the_asked_dtype_and_no_autograd(dtype: torch.dtype) -> None:
    model = MLP(LETTERS, CONTEXT, 4, [8, 8], torch.Generator(), "leaky-relu", 0.5, dtype)
    contexts, targets = examples()
    criterion = SoftmaxCrossEntropy()
    loss = criterion.forward(model.forward(contexts), targets)
    model.backward(criterion.backward())
    tensors = [loss, *model.state().values(), *(gradient for _, gradient in model.parameters())]
    assert {tensor.dtype for tensor in tensors} == {dtype}
    assert not any(tensor.requires_grad for tensor in tensors)


def test_state_names_every_tensor_once() -> None:
    state = make_model([8, 8]).state()
    assert list(state)[:5] == ["0.weight", "1.weight", "2.gamma", "2.beta", "2.running_mean"]
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)


def test_training_and_evaluation_modes_reach_every_layer() -> None:
    model = make_model([8, 8], dropout=0.5)
    assert not any(part.training for part in model.eval().parts())
    contexts, _ = examples()
    assert torch.equal(model.forward(contexts), model.forward(contexts))
    assert all(part.training for part in model.train().parts())
    assert not torch.equal(model.forward(contexts), model.forward(contexts))


def test_one_step_starts_at_the_loss_of_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    one_step()
    loss = float(capsys.readouterr().out.split()[1])
    assert loss == pytest.approx(math.log(27), abs=0.1)
