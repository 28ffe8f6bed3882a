"""What is said of a NumPy program, and the edits that it is given, are in NumPy's words."""

import numpy as np
import pytest
import torch

from gradcheck.fronts import arrays
from gradcheck.program.errors import ProgramError
from tests.support import report_on_source

SOFTMAX = """
import numpy as np
rng = np.random.default_rng(1)
X, y = rng.standard_normal((16, 5)), rng.integers(0, 3, 16)
W, b = rng.standard_normal((5, 3)), np.zeros((1, 3))
z = X @ W + b
e = np.exp(z)
p = e / e.sum(axis=1, keepdims=True)
loss = -np.log(p[np.arange(16), y]).mean()
dp = np.zeros_like(p)
dp[np.arange(16), y] = -1 / p[np.arange(16), y] / 16
dz = p * (dp - (p * dp).sum(axis=1, keepdims=True))
dW = X.T @ dz
db = dz.sum(axis=0, keepdims=True)
W -= 0.1 * dW
b -= 0.1 * db
"""


@pytest.fixture
def numpy_counts():
    class Kind: ...

    arrays.add(Kind)
    yield
    arrays.reset()


def test_an_edit_keeps_the_axis_as_numpy_does() -> None:
    wrong = SOFTMAX.replace("(p * dp).sum(axis=1, keepdims=True)", "(p * dp).sum()")
    (finding,) = [f for f in report_on_source(wrong, fix_budget_s=20.0).findings if f.rule == "GC101"]
    assert finding.fix is not None
    assert finding.fix.verified
    assert finding.fix.replacement == "(p * dp).sum(1, keepdims=True)"


def test_what_is_said_is_said_of_axes() -> None:
    wrong = SOFTMAX.replace("dz.sum(axis=0, keepdims=True)", "dz[:1]")
    (finding,) = [f for f in report_on_source(wrong, fix_budget_s=2.0).findings if f.rule == "GC101"]
    assert any("along axis 0" in note for note in finding.notes)


@pytest.mark.usefixtures("numpy_counts")
@pytest.mark.parametrize(
    ("said", "in_numpy"),
    [
        ("a sum without `keepdim`", "a sum without `keepdims`"),
        ("take `x.mean(0, keepdim=True)`", "take `x.mean(axis=0, keepdims=True)`"),
        ("over dimensions 0 and 1 of another tensor", "over axes 0 and 1 of another array"),
        ("it has 2 dimensions", "it has 2 dimensions"),
        ("`.view_as(a @ b)` of a `tensor`", "`.reshape((a @ b).shape)` of a `tensor`"),
    ],
)
def test_words(said: str, in_numpy: str) -> None:
    assert arrays.in_its_words(said) == in_numpy


def test_in_a_program_of_both_an_edit_is_spelled_so_that_both_take_it() -> None:
    arrays.add(np.ndarray, alone=False)
    try:
        edit = arrays.spelled("x.sum(0, keepdim=True)")
        assert arrays.in_its_words("of a tensor") == "of a tensor"
    finally:
        arrays.reset()
    assert edit == "x.sum(axis=0, keepdims=True)"
    of_torch, of_numpy = (eval(edit, {"x": x}) for x in (torch.ones(3, 2), np.ones((3, 2))))
    assert of_torch.shape == of_numpy.shape == (1, 2)


def test_torch_keeps_its_own() -> None:
    said = "over dimension 0 of a tensor: `x.sum(0, keepdim=True)`"
    assert arrays.in_its_words(said) == said


def test_a_file_that_defines_a_training_function_is_answered_with_the_command_that_runs_it() -> None:
    text = (
        "import numpy as np\ndef train(X, y, epochs=3):\n    for _ in range(epochs):\n        print(X @ y)\n"
    )
    with pytest.raises(ProgramError) as caught:
        report_on_source(text)
    assert "`gradcheck report '" in caught.value.hint
    assert "::train(X, y)'`" in caught.value.hint
