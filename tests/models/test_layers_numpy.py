"""The layers in the cache style: the two with a formula by themselves on drawn inputs, and all together in one step."""

import numpy as np
import pytest

import gradcheck
from models.layers_numpy import (
    affine_backward,
    affine_forward,
    batchnorm_backward,
    batchnorm_forward,
    relu_backward,
    relu_forward,
    softmax_loss,
)


@pytest.mark.parametrize(
    "layer", [(batchnorm_forward, batchnorm_backward), softmax_loss], ids=["norm", "loss"]
)
def test_the_formulas_are_right_on_every_input(layer) -> None:
    report = gradcheck.check_layer(layer, ranks=[2], fix_budget_s=0.0)
    report.raise_for_errors()
    assert report.exit_status == 0, str(report)


def network(x, y, w1, b1, gamma, beta, w2, b2):
    hidden, affine_1 = affine_forward(x, w1, b1)
    normalised, batchnorm = batchnorm_forward(hidden, gamma, beta)
    active, relu = relu_forward(normalised)
    scores, affine_2 = affine_forward(active, w2, b2)
    loss, dscores = softmax_loss(scores, y)
    dactive, dw2, db2 = affine_backward(dscores, affine_2)
    dhidden, dgamma, dbeta = batchnorm_backward(relu_backward(dactive, relu), batchnorm)
    dx, dw1, db1 = affine_backward(dhidden, affine_1)
    return loss, {"x": dx, "w1": dw1, "b1": db1, "gamma": dgamma, "beta": dbeta, "w2": dw2, "b2": db2}


def test_a_network_of_them_hands_every_gradient_on() -> None:
    rng = np.random.default_rng(14)
    x, y = rng.standard_normal((6, 2, 2)), rng.integers(0, 3, 6)
    shapes = [(4, 5), (5,), (5,), (5,), (5, 3), (3,)]
    report = gradcheck.assert_gradients(network, x, y, *map(rng.standard_normal, shapes))
    verdicts = {row.name: row.verdict.value for row in report.rows}
    assert {verdicts[name] for name in ("dx", "dw1", "dgamma", "dbeta", "dw2", "db2", "dscores")} == {
        "correct"
    }
