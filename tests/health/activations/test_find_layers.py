"""The non-linearities of a network, recognised from what they compute."""

from __future__ import annotations

import pytest

from gradcheck.health.activations.records import ActivationHealth, ActivationRecord
from tests.health.activations import programs
from tests.support import report_on_source


def measured(text: str, **options: object) -> ActivationHealth:
    return report_on_source(text, select=("GC2",), **{"sweep": 3, **options}).health.activations


def only_layer(activation: str) -> ActivationRecord:
    (layer,) = measured(programs.one_layer(activation)).layers
    return layer


WRITTEN = [
    ("a = torch.tanh(z)", "tanh"),
    ("a = torch.nn.Tanh()(z)", "tanh"),
    ("a = (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))", "tanh"),
    ("e = torch.exp(2 * z)\na = (e - 1) / (e + 1)", "tanh"),
    ("a = 2 * torch.sigmoid(2 * z) - 1", "tanh"),
    ("a = 1 / (1 + torch.exp(-z))", "sigmoid"),
    ("a = torch.exp(z) / (1 + torch.exp(z))", "sigmoid"),
    ("a = torch.relu(z)", "relu"),
    ("a = np.maximum(0, z)", "relu"),
    ("a = np.maximum(z, 0.0)", "relu"),
    ("a = z.clamp(min=0)", "relu"),
    ("a = z * (z > 0)", "relu"),
    ("a = (z > 0).float() * z", "relu"),
    ("a = (z + z.abs()) / 2", "relu"),
    ("a = torch.max(z, torch.tensor(0.0))", "relu"),
    ("a = torch.maximum(torch.zeros_like(z), z)", "relu"),
    ("a = torch.where(z > 0, z, torch.zeros_like(z))", "relu"),
    ("a = z.clone()\na[z < 0] = 0", "relu"),
    ("a = z.masked_fill(z < 0, 0.0)", "relu"),
    ("a = torch.zeros_like(z)\na[z > 0] = z[z > 0]", "relu"),
    ("a = z\na[a < 0] = 0", "relu"),
    ("a = z.relu_()", "relu"),
    ("a = F.relu(z, inplace=True)", "relu"),
    ("a = F.leaky_relu(z, 0.2)", "leaky relu"),
    ("a = torch.where(z > 0, z, 0.01 * z)", "leaky relu"),
    ("a = np.maximum(0.01 * z, z)", "leaky relu"),
    ("a = z.clone()\na[a < 0] *= 0.1", "leaky relu"),
    ("a = F.elu(z)", "elu"),
    ("a = torch.where(z > 0, z, torch.exp(z) - 1)", "elu"),
    ("a = F.gelu(z)", "gelu"),
    ("a = 0.5 * z * (1 + torch.erf(z / 2**0.5))", "gelu"),
    ("a = z * torch.sigmoid(z)", "silu"),
    ("a = torch.log(1 + torch.exp(z))", "softplus"),
    ("a = z / (1 + z.abs())", "softsign"),
    ("a = z**3", "other"),
]


@pytest.mark.parametrize(("activation", "function"), WRITTEN, ids=[text for text, _ in WRITTEN])
def test_however_it_is_written(activation: str, function: str) -> None:
    layer = only_layer(activation)
    assert layer.function == function
    assert layer.hidden
    assert (layer.units, layer.samples) == (9, 48)


def test_the_slope_of_a_leaky_relu_is_told() -> None:
    assert only_layer("a = F.leaky_relu(z, 0.2)").slope == pytest.approx(0.2)


def test_where_the_argument_was_overwritten_nothing_is_said_of_it() -> None:
    layer = only_layer("a = z.tanh_()")
    assert layer.function == "tanh"
    assert layer.saturated is not None
    assert layer.argument_std is None
    assert layer.beyond is None


def test_an_argument_that_changes_afterwards_is_not_taken_for_what_it_was() -> None:
    layer = only_layer("a = torch.tanh(z)\nz += torch.arange(9)\na = a + 0 * z.mean()")
    assert layer.function == "tanh"
    assert layer.argument_mean is None


NOT_ELEMENTWISE = [
    "a = F.softmax(z, 1)",
    "e = torch.exp(z)\na = e / e.sum(1, keepdim=True)",
    "a = (z - z.mean(0)) / z.std(0)",
    "a = (z - z.mean(1, keepdim=True)) / (z.var(1, keepdim=True) + 1e-5) ** 0.5",
    "a = 3 * z + 1",
    "a = z * torch.randn(9)",
    "a = z.clone()\na[:, 0] = 0",
    "half = z.flatten().kthvalue(72).values\na = z.clone()\na[z <= half] = z[z > half]",
]


@pytest.mark.parametrize("activation", NOT_ELEMENTWISE)
def test_what_is_no_function_of_each_element_is_no_activation(activation: str) -> None:
    health = measured(programs.one_layer(activation))
    assert health.layers == []
    assert "no non-linearity" in health.absent


def test_a_prediction_is_not_hidden() -> None:
    text = programs.one_layer("a = torch.tanh(z)").replace(
        "    loss = F.cross_entropy(logits, Y[ix])",
        "    p = torch.sigmoid(logits)\n    loss = ((p - F.one_hot(Y[ix], 4)) ** 2).mean()",
    )
    hidden, output = measured(text).layers
    assert (hidden.name, hidden.hidden) == ("a", True)
    assert (output.name, output.function, output.hidden) == ("p", "sigmoid", False)


def test_layers_are_told_in_order_with_their_weights() -> None:
    health = measured(programs.network("relu", depth=4, width=20))
    assert [(layer.layer, layer.depth, layer.layers) for layer in health.layers] == [
        (i, i, 4) for i in (1, 2, 3, 4)
    ]
    weights = [layer.weight for layer in health.layers]
    assert [w.name for w in weights if w is not None] == ["Ws[0]", "Ws[1]", "Ws[2]", "Ws[3]"]
    assert [w.fan_in for w in weights if w is not None] == [30, 20, 20, 20]
    first = weights[0]
    assert first is not None
    assert first.wanted_std == pytest.approx((2 / 30) ** 0.5)
    assert first.std == pytest.approx((2 / 30) ** 0.5, rel=0.1)


RECURRENT = """
import torch
torch.manual_seed(0)
X = torch.randn(300, 5, 4)
Y = torch.randn(300, 2)
U, W, V = torch.randn(4, 7) * 0.4, torch.randn(7, 7) * 0.3, torch.randn(7, 2) * 0.3
for step in range(40):
    ix = torch.randint(0, 300, (20,))
    h = torch.zeros(20, 7)
    for t in range(5):
        h = torch.tanh(X[ix, t] @ U + h @ W)
    y = h @ V
    loss = ((y - Y[ix]) ** 2).mean()
    dy = 2 * (y - Y[ix]) / y.numel()
    dV = h.T @ dy
    V -= 0.1 * dV
    U -= 0.0 * U
    W -= 0.0 * W
"""


def test_the_steps_of_a_sequence_are_one_layer() -> None:
    (layer,) = measured(RECURRENT).layers
    assert layer.applied == 5
    assert layer.units == 7
    assert layer.samples == 60


COLUMNS = """
import torch
torch.manual_seed(0)
X = torch.randn(6, 300)
Y = torch.randn(3, 300)
W1, b1, W2 = torch.randn(8, 6) * 0.4, torch.zeros(8, 1), torch.randn(3, 8) * 0.3
b1[5] = 60
for step in range(40):
    a = torch.tanh(W1 @ X + b1)
    y = W2 @ a
    loss = ((y - Y) ** 2).mean()
    dy = 2 * (y - Y) / y.numel()
    dW2 = dy @ a.T
    W2 -= 0.1 * dW2
    W1 -= 0.0 * W1
    b1 -= 0.0 * b1
"""


def test_the_units_of_a_network_of_columns_are_its_rows() -> None:
    (layer,) = measured(COLUMNS).layers
    assert (layer.units, layer.samples) == (8, 300)
    assert layer.dead == [5]


CONVOLUTION = """
import torch
import torch.nn.functional as F
torch.manual_seed(0)
X = torch.randn(200, 2, 6, 6)
Y = torch.randint(0, 3, (200,))
K, V = torch.randn(5, 2, 3, 3) * 0.3, torch.randn(80, 3) * 0.2
for step in range(40):
    ix = torch.randint(0, 200, (10,))
    a = {activation}
    flat = a.reshape(10, -1)
    logits = flat @ V
    loss = F.cross_entropy(logits, Y[ix])
    dlogits = F.softmax(logits, 1)
    dlogits[range(10), Y[ix]] -= 1
    dlogits /= 10
    dV = flat.T @ dlogits
    V -= 0.1 * dV
    K -= 0.0 * K
"""


@pytest.mark.parametrize(
    "activation",
    [
        "F.relu(F.conv2d(X[ix], K))",
        "torch.relu((K.view(5, -1) @ F.unfold(X[ix], 3)).view(10, 5, 4, 4))",
        "torch.relu((F.unfold(X[ix], 3).transpose(1, 2) @ K.view(5, -1).T)"
        ".view(10, 4, 4, 5).permute(0, 3, 1, 2))",
    ],
)
def test_the_units_of_a_convolution_are_its_channels(activation: str) -> None:
    (layer,) = measured(CONVOLUTION.replace("{activation}", activation)).layers
    assert (layer.units, layer.samples) == (5, 30)
    assert layer.weight is not None
    assert (layer.weight.name, layer.weight.fan_in) == ("K", 18)


def test_a_layer_computed_by_a_function_stands_where_it_is_called() -> None:
    text = programs.one_layer("a = mine(z)").replace(
        "torch.manual_seed(3)", "def mine(x):\n    return x * (x > 0)\ntorch.manual_seed(3)"
    )
    (layer,) = measured(text).layers
    assert layer.name == "a"
    assert text.splitlines()[layer.location.line - 1].strip() == "a = mine(z)"
