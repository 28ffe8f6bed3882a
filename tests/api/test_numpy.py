"""`assert_gradients` and `check` of NumPy code that was imported long before."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from tests.layers import numpy_right, numpy_wrong

X, W = np.random.default_rng(0).normal(size=(6, 4)), np.random.default_rng(1).normal(size=(4, 3))


def step(x, w, factor=2):
    y = np.tanh(x @ w)
    loss = (y**2).sum()
    dy = factor * y
    dw = x.T @ (dy * (1 - y**2))
    return loss, dw


def test_functions_objects_closures_and_lambdas_are_followed():
    assert gradcheck.assert_gradients(step, X, W).summary["correct"] == 2
    layer = numpy_right.Affine(W.copy(), np.zeros(3))
    report = gradcheck.assert_gradients(layer, X)
    assert report.gradients[["name", "verdict"]].values.tolist() == [
        ["dx", "correct"],
        ["self.dW", "correct"],
        ["self.db", "correct"],
    ]

    def closed():
        z = X @ W
        assert z.shape == (6, 3)  # pytest compiles it otherwise
        cost = (z**2).mean()
        dz = 2 * z / z.size
        dW = X.T @ dz
        return cost, dW

    before = closed.__code__
    assert gradcheck.assert_gradients(closed).summary["correct"] == 2
    assert closed.__code__ is before
    gradcheck.assert_gradients(lambda: step(X, W))
    assert gradcheck.check(step, X, W).summary["introduced"] == 0


def test_a_wrong_line_is_shown():
    with pytest.raises(gradcheck.GradientError, match="`dy` is not the gradient of `y`"):
        gradcheck.assert_gradients(step, X, W, factor=1)
    network = numpy_wrong.TwoLayerNet(4, 5, 3, reg=0.5)
    with pytest.raises(gradcheck.GradientError, match=r"2 \* self.reg \* W2"):
        gradcheck.assert_gradients(network.loss, X, np.array([0, 1, 2, 0, 1, 2]))


def test_values_and_random_numbers_stay_the_persons():
    class Noisy(numpy_right.Dense):
        def forward(self, X):
            self.noise = np.random.randn(*X.shape)
            return super().forward(X + self.noise)

    np.random.seed(3)
    plain = Noisy(4, 3)
    plain.backward(np.ones_like(plain.forward(X)))
    state = np.random.get_state()
    np.random.seed(3)
    watched = Noisy(4, 3)
    gradcheck.assert_gradients(watched, X)
    assert np.array_equal(plain.noise, watched.noise)
    assert np.array_equal(plain.params["W"], watched.params["W"])
    assert all(np.array_equal(a, b) for a, b in zip(state, np.random.get_state(), strict=True))
    assert type(watched.grads["W"]) is np.ndarray


def test_what_cannot_be_followed_is_said(tmp_path, monkeypatch):
    names = {"np": np}
    exec("def typed(w):\n    loss = (w**2).sum()\n    return loss, 2 * np.abs(w)", names)
    with pytest.raises(gradcheck.GradientError, match="the source of `typed` cannot be read"):
        gradcheck.assert_gradients(names["typed"], W)
    with gradcheck.watch() as watched:
        loss = (W**2).sum()
        dW = 2 * W
    assert loss > 0
    assert dW.shape == W.shape
    with pytest.raises(
        gradcheck.NothingToCheckError,
        match=r"`gradcheck.check\(step\)` and `assert_gradients` a function or class",
    ):
        watched.report()
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "import numpy as np\n\n\ndef changing(w):\n    loss = (w**2).sum()\n    dw = 2 * w\n    return loss, dw\n"
    (tmp_path / "changing_module.py").write_text(text)
    import changing_module

    gradcheck.assert_gradients(changing_module.changing, W)
    (tmp_path / "changing_module.py").write_text(text.replace("2 * w", "3 * w"))
    with pytest.raises(gradcheck.GradientError, match="has changed since it was imported"):
        gradcheck.assert_gradients(changing_module.changing, W)


def scaled(helper, w):
    h = helper(w)
    loss = (h**2).sum()
    dh = 2 * h
    return loss, dh


def test_what_a_function_without_hooks_computes_is_of_unknown_origin():
    """Not a leaf: the gradient of what goes into it would seem to be zero."""
    names = {}
    exec("def doubled(w):\n    return w * 2", names)

    def loss_and_gradient(w):
        h = names["doubled"](w)
        loss = (h**2).sum()
        dw = 8 * w
        return loss, dw

    with pytest.raises(gradcheck.GradientError, match=r"could not be checked|no gradient"):
        gradcheck.assert_gradients(loss_and_gradient, W)
