"""Walking an expression gives what compiling it gives, and neither touches what the program holds."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.diagnosis.evaluation import CannotEvaluateError, prepare
from gradcheck.diagnosis.interpreter import Interpreter, can_interpret
from gradcheck.diagnosis.namespace import BindingIndex, Namespace
from gradcheck.fronts.tape import Value
from gradcheck.replay.engine import Replay
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

    def twice(x):
        return x * 2

    torch.sin(a)
"""

EXPRESSIONS = [
    "a", "a * b", "a @ w", "-a", "a.T @ b", "a ** 2 / n", "(a * b).sum(0)", "a.sum(1, keepdim=True)", "1 - a**2",
    "torch.where(a > 0, b, slope * b)", "np.maximum(a, slope * a)", "F.softmax(a, 1)", "a[range(n), y]", "a[:, 1:]",
    "a[..., None].sum(-1)", "zs[1] - zs[0]", "cache['h'] * b", "twice(a)", "torch.stack([a, b]).sum(0)", "a.view(-1, 6)",
    "F.one_hot(y, num_classes=3) * a", "(a > b) * a", "torch.cat([a, b], dim=1)", "a.max(1, keepdim=True).values",
    "a.shape[0] * a", "torch.full((3,), 0.1) * a", "~(a > 0) * b", "sum((a, b))", "a.float() * 1.0",
]  # fmt: skip


class Scene:
    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        op = next(op for op in recorded.ops if op.name == "sin")
        self.namespace = Namespace(BindingIndex(recorded.recording, recorded.program.sources), op, op.index)
        self.replay = Replay(torch.float64)
        with torch.no_grad():
            self.replay.run(recorded.ops[: op.index])

    def walked(self, tree: ast.expr) -> tuple[torch.Tensor, set[Value]]:
        interpreter = Interpreter(tree, self.namespace, self.replay.tensor, torch.float64, {})
        found, reads = interpreter.result(tree)
        return found, set(reads)

    def compiled(self, tree: ast.expr) -> tuple[torch.Tensor, set[Value]]:
        evaluable = prepare(tree, self.namespace)
        return evaluable.result(self.replay.tensor, torch.float64), set(evaluable.reads)

    def sums(self) -> list[float]:
        return [float(tensor.double().sum()) for tensor in self.replay.env.values()]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(record_source(PROGRAM))


def agree(scene: Scene, text: str) -> None:
    tree = ast.parse(text, mode="eval").body
    assert can_interpret(tree)
    before = scene.sums()
    held = {name: thing for name, thing in scene.recorded.names.items() if isinstance(thing, torch.Tensor)}
    copies = {name: thing.clone() for name, thing in held.items()}
    results = [_or_refusal(way, tree) for way in (scene.walked, scene.compiled)]
    if isinstance(results[0], str) or isinstance(results[1], str):
        assert isinstance(results[0], str)
        assert isinstance(results[1], str)
    else:
        torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=0, equal_nan=True)
        assert results[0][0].dtype == results[1][0].dtype
        assert results[0][1] == results[1][1]
    assert scene.sums()[: len(before)] == before
    assert all(torch.equal(held[name], copies[name]) for name in held)


def _or_refusal(
    way: Callable[[ast.expr], tuple[torch.Tensor, set[Value]]], tree: ast.expr
) -> tuple[torch.Tensor, set[Value]] | str:
    try:
        return way(tree)
    except CannotEvaluateError as error:
        return str(error)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_both_ways_give_the_same(scene: Scene, text: str) -> None:
    agree(scene, text)
    assert isinstance(_or_refusal(scene.walked, ast.parse(text, mode="eval").body), tuple)


ATOMS = st.sampled_from(["a", "b", "w", "n", "2", "zs[0]", "cache['h']", "a.T"])
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


@pytest.mark.parametrize("text", ["a.add_(1)", "[x for x in zs]", "lambda: a", "a if n else b"])
def test_what_is_left_to_python(text: str) -> None:
    assert not can_interpret(ast.parse(text, mode="eval").body)
