"""Reading an expression gives what Python gives, and touches nothing that the program holds."""

from __future__ import annotations

import ast
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.diagnosis.evaluation import CannotEvaluateError, Evaluable, Evaluation, InPrecision
from gradcheck.diagnosis.namespace import BindingIndex, Namespace
from gradcheck.replay.runner import Runner, default_dtype
from tests.support import Recorded, record_source

PROGRAM = """
    import numpy as np
    import torch
    import torch.nn.functional as F

    torch.manual_seed(0)
    n, slope = 4, 0.01
    a = torch.randn(4, 3) * 1.0
    b = torch.randn(4, 3) * 1.0
    w = torch.randn(3, 4) * 1.0
    y = torch.tensor([0, 2, 1, 1])
    zs = [a * 2, b * 2]
    cache = {"h": a.tanh()}

    def twice(x, by=2):
        parts = []
        for row in x:
            if by > 1:
                parts.append(row * by)
        return torch.stack(parts)

    class Scale:
        def __init__(self):
            self.by = b * 3

        def __call__(self, x):
            out = x.clone()
            out[x > 0] *= 2
            return out * self.by

    scale = Scale()

    torch.sin(a)
"""

EXPRESSIONS = [
    "a", "a * b", "a @ w", "-a", "a.T @ b", "a ** 2 / n", "(a * b).sum(0)", "a.sum(1, keepdim=True)", "1 - a**2",
    "torch.where(a > 0, b, slope * b)", "np.maximum(a, slope * a)", "F.softmax(a, 1)", "a[range(n), y]", "a[:, 1:]",
    "a[..., None].sum(-1)", "zs[1] - zs[0]", "cache['h'] * b", "twice(a)", "torch.stack([a, b]).sum(0)", "a.view(-1, 6)",
    "F.one_hot(y, num_classes=3) * a", "(a > b) * a", "torch.cat([a, b], dim=1)", "a.max(1, keepdim=True).values",
    "a.shape[0] * a", "torch.full((3,), 0.1) * a", "~(a > 0) * b", "sum((a, b))", "a.float() * 1.0",
    "torch.stack([z * 2 for z in (a, b) if n > 2]).sum(0)", "a if n > 3 else b", "(lambda x: x * slope)(a)", "twice(b, by=n)",
    "scale(a)", "(c := a * b) + c", "sum(z for z in (a, b))", "{'k': a}['k']",
]  # fmt: skip


class Scene:
    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        op = next(op for op in recorded.ops if op.name == "sin")
        self.namespace = Namespace(BindingIndex(recorded.recording, recorded.program.sources), op, op.index)
        self.replay = Runner(torch.float64)
        with torch.no_grad():
            self.replay.run(recorded.ops[: op.index])

    def read(self, tree: ast.expr) -> torch.Tensor:
        Evaluable(tree, self.namespace)
        return Evaluation(self.namespace, self.replay.tensor, torch.float64, tree).result(tree)

    def by_python(self, text: str) -> torch.Tensor:
        names = {name: _doubled(held) for name, held in self.recorded.names.items()}
        if "scale" in text:
            names["scale"] = self.recorded.names["Scale"].__new__(self.recorded.names["Scale"])
            names["scale"].by = names["b"] * 3
        with default_dtype(torch.float64), InPrecision(torch.float64):
            found = eval(text, names)
        if not isinstance(found, torch.Tensor):
            raise CannotEvaluateError
        return found.double() if found.is_floating_point() else found

    def sums(self) -> list[float]:
        return [float(tensor.double().sum()) for tensor in self.replay.env.values()]


def _doubled(held: Any) -> Any:
    if isinstance(held, torch.Tensor):
        return held.double() if held.is_floating_point() else held
    if type(held) is list:
        return [_doubled(item) for item in held]
    return {key: _doubled(item) for key, item in held.items()} if type(held) is dict else held


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(record_source(PROGRAM))


def agree(scene: Scene, text: str) -> bool:
    """Whether both give a tensor."""
    before = scene.sums()
    held = {name: thing for name, thing in scene.recorded.names.items() if isinstance(thing, torch.Tensor)}
    copies = {name: thing.clone() for name, thing in held.items()}
    try:
        expected = scene.by_python(text)
    except Exception:
        with pytest.raises(CannotEvaluateError):
            scene.read(ast.parse(text, mode="eval").body)
        return False
    found = scene.read(ast.parse(text, mode="eval").body)
    # The program computed its names in float32, the replay in float64.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, equal_nan=True)
    assert scene.sums()[: len(before)] == before
    assert all(torch.equal(held[name], copies[name]) for name in held)
    return True


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_reading_gives_what_python_gives(scene: Scene, text: str) -> None:
    assert agree(scene, text)


def test_what_did_not_change_is_computed_once(scene: Scene) -> None:
    tree = ast.parse("twice(a) + b", mode="eval").body
    assert isinstance(tree, ast.BinOp)
    evaluation = Evaluation(scene.namespace, scene.replay.tensor, torch.float64, tree)
    assert evaluation.read(tree.left) is evaluation.read(tree.left)


ATOMS = st.sampled_from(["a", "b", "w", "n", "2", "zs[0]", "a.T"])
TREES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["+", "-", "*", "/", "@", ">"]), inner),
        st.builds("({}).sum({})".format, inner, st.sampled_from(["0", "1", "", "0, keepdim=True"])),
        st.builds("torch.tanh({})".format, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_any_expression(text: str) -> None:
    agree(_shared(), text)


_scenes: list[Scene] = []


def _shared() -> Scene:
    if not _scenes:
        _scenes.append(Scene(record_source(PROGRAM)))
    return _scenes[0]
