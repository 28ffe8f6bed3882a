"""What a name in the program stood for, at the moment the line ran."""

from __future__ import annotations

import ast
from typing import Any

import pytest
import torch

from gradcheck.diagnosis.namespace import BindingIndex, Namespace, UnknownNameError
from gradcheck.fronts.tape import Op, Value
from tests.support import Recorded, record_source


def at(recorded: Recorded, marker: str, *, nth: int = 0) -> Namespace:
    """The names that the line saw which calls `torch.<marker>`."""
    ops = [op for op in recorded.ops if op.name == marker]
    return seen_by(recorded, ops[nth])


def seen_by(recorded: Recorded, op: Op) -> Namespace:
    return Namespace(BindingIndex(recorded.recording, recorded.program.sources), op, op.index)


def held(namespace: Namespace, text: str) -> Any:
    return namespace.resolve(ast.parse(text, mode="eval").body)


def value_of(recorded: Recorded, name: str, nth: int = -1) -> Value:
    return recorded.bound(name)[nth]


def test_rebinding_and_what_comes_later() -> None:
    recorded = record_source("""
        import torch
        a = torch.ones(3) * 2
        torch.sin(a)
        a = a + 1
        torch.cos(a)
        later = a * 2
    """)
    assert held(at(recorded, "sin"), "a") is value_of(recorded, "a", 0)
    assert held(at(recorded, "cos"), "a") is value_of(recorded, "a", 1)
    with pytest.raises(UnknownNameError):
        held(at(recorded, "cos"), "later")


def test_lists_dicts_and_attributes() -> None:
    recorded = record_source("""
        import torch
        class Net:
            def __init__(self):
                self.W = torch.ones(2, 2) * 3
        net = Net()
        layers = [torch.ones(2) * i for i in range(3)]
        cache = {"z": layers[0] + 1}
        key, i = "z", 1
        torch.sin(net.W)
    """)
    names = at(recorded, "sin")
    assert isinstance(held(names, "net.W"), Value)
    assert held(names, "layers[i + 1]") is held(names, "layers[2]")
    assert held(names, "layers[0]") is not held(names, "layers[1]")
    assert held(names, "cache[key]") is held(names, "cache['z']")
    assert held(names, "i") == 1
    for unknown in ("layers[7]", "layers[-1]"):  # how long the list was by then is not recorded
        with pytest.raises(UnknownNameError):
            held(names, unknown)
    with pytest.raises(UnknownNameError):
        held(names, "net.gone")


def test_functions_see_their_own_names_and_those_around_them() -> None:
    recorded = record_source("""
        import torch
        scale = torch.ones(2) * 5
        x = torch.zeros(2)
        def outer(x):
            factor = x * 2
            def inner(y):
                return torch.sin(y * factor)
            return inner(x + 1)
        outer(torch.ones(2) * 3)
    """)
    names = at(recorded, "sin")
    assert isinstance(held(names, "y"), Value)
    assert held(names, "factor") is value_of(recorded, "factor")
    assert held(names, "scale") is value_of(recorded, "scale")
    assert "y" in names.parameters
    texts = dict(names.tensors())
    assert {"y", "factor"} <= set(texts)
    assert "scale" not in texts  # which it does not read


def test_loop_variables_change_from_turn_to_turn() -> None:
    recorded = record_source("""
        import torch
        rows = [torch.ones(2) * i for i in range(3)]
        for number, row in enumerate(rows):
            torch.sin(row)
    """)
    for turn in range(3):
        names = at(recorded, "sin", nth=turn)
        assert held(names, "number") == turn
        assert held(names, "row") is held(names, f"rows[{turn}]")


def test_an_attribute_set_on_a_tensor() -> None:
    recorded = record_source("""
        import torch
        out = torch.ones(2) * 2
        out.g = out * 3
        torch.sin(out.g)
    """)
    names = at(recorded, "sin")
    assert isinstance(held(names, "out.g"), Value)
    assert held(names, "out.g") is not held(names, "out")
    assert "out.g" in dict(names.tensors())


def test_numbers_objects_and_builtins() -> None:
    recorded = record_source("""
        import torch
        import torch.nn.functional as F
        n, eps = 32, 1e-5
        torch.sin(torch.ones(2))
    """)
    names = at(recorded, "sin")
    assert dict(names.numbers()).items() >= {"n": 32, "eps": 1e-5}.items()
    assert held(names, "F.relu") is torch.nn.functional.relu
    assert held(names, "range") is range
