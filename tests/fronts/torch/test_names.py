"""Names: which name held which value, from the frames of the person."""

from __future__ import annotations

from typing import Any

import pytest

from gradcheck.fronts.names import NameTracer
from tests.support import Recorded, record_source


def held(run: Recorded) -> dict[str, str]:
    """Name -> the name of the op that made what it held last."""
    return {b.name: b.value.producer.name if b.value.producer else "leaf" for b in run.recording.bindings}


def test_every_form_of_binding():
    run = record_source("""
        import torch
        x = torch.ones(2)
        a = b = x.exp()
        c, (d, *e) = x.log(), (x.sin(), x.cos(), x.tan())
        if (f := x.sqrt()) is not None: pass
        g: torch.Tensor = x.abs()
        h = [x.floor(), x.ceil()]
        i = {"one": x.round(), 2: (x.trunc(), x.frac())}
        i["three"] = x.sign()
        h.append(x.neg())
        class Box: pass
        box = Box()
        box.value = x.square()
        box.inner = Box()
        box.inner.grads = {}
        box.inner.grads["W" + str(1)] = x.reciprocal()
        """)
    names = held(run)
    assert {k: names[k] for k in "abcdf"} == {"a": "exp", "b": "exp", "c": "log", "d": "sin", "f": "sqrt"}
    assert (names["e[0]"], names["e[1]"], names["g"]) == ("cos", "tan", "abs")
    assert (names["h[0]"], names["h[1]"], names["h[2]"]) == ("floor", "ceil", "neg")
    assert (names["i['one']"], names["i[2][1]"], names["i['three']"]) == ("round", "frac", "sign")
    assert names["box.value"] == "square"
    assert "reciprocal" in [names[k] for k in names if k.startswith("box.inner.grads[")]


def test_functions_methods_and_their_parameters():
    run = record_source("""
        import torch
        def layer(w, x):
            z = w * x
            return z.tanh()
        class Net:
            def forward(self, x):
                self.h = x.exp()
                out = layer(self.h, x)
                return out
        y = Net().forward(torch.ones(3))
        """)
    names = held(run)
    assert {k: names[k] for k in ("z", "self.h", "out", "y")} == {
        "z": "mul", "self.h": "exp", "out": "tanh", "y": "tanh",
    }  # fmt: skip
    parameters = [(b.name, b.value.producer.name) for b in run.recording.bindings if b.alias]
    assert ("w", "exp") in parameters
    assert ("x", "ones") in parameters


def test_each_activation_has_its_own_scope():
    run = record_source("""
        import torch
        def f(n, x):
            y = x + n
            return f(n - 1, y) if n else y
        f(2, torch.ones(1))
        """)
    scopes = [b.scope for b in run.recording.bindings if b.name == "y"]
    assert len(set(scopes)) == 3


def test_generators_keep_their_scope():
    run = record_source("""
        import torch
        def rows():
            for i in range(3):
                row = torch.ones(2) * i
                yield row
        for r in rows():
            s = r.sum()
        """)
    assert len([b for b in run.recording.bindings if b.name == "row"]) == 3
    assert len({b.scope for b in run.recording.bindings if b.name == "row"}) == 1


def test_loops_bind_anew_and_their_variables_are_aliases():
    run = record_source("""
        import torch
        grads = [torch.ones(2) * i for i in range(3)]
        for g in grads:
            d = g * 2
        """)
    assert [b.alias for b in run.bindings("g")] == [True] * 3
    assert len(set(run.bound("d"))) == 3


def test_a_comprehension_binds_nothing_of_the_statement_around_it():
    run = record_source("""
        import torch
        x = torch.ones(2)
        for step in range(2):
            new = [x * i for i in range(3)]
            d = sum(n.sum() for n in new)
        """)
    firsts = run.bound("d")
    assert len(firsts) == 2


def test_a_local_name_is_not_taken_for_the_global_one():
    run = record_source("""
        import torch
        dw = torch.ones(2).exp()
        def f(x):
            for _ in range(1): x = x + 1; dw = x * 2
            return dw
        f(dw)
        """)
    bindings = [value.producer.name for value in run.bound("dw")]
    assert bindings == ["exp", "mul"]


def test_lines_of_bindings():
    run = record_source("import torch\nx = torch.ones(2)\ny = (x\n     + 1)\nz = y\n")
    assert [(b.name, b.line) for name in "xz" for b in run.bindings(name)] == [("x", 2), ("z", 5)]


def test_an_unfinished_gradient_is_noted():
    run = record_source("import torch\nx = torch.ones(2)\ndW = None\ny = x + 1\n")
    assert [(name, line) for name, _, line, *_ in run.recording.nones] == [("dW", 3)]


def test_no_code_of_the_persons_is_run_by_looking():
    run = record_source("""
        import torch
        class Shy:
            def __init__(self): self._w = torch.ones(2)
            def __getattr__(self, name): raise SystemExit(name)
            def __getitem__(self, key): raise SystemExit(key)
            def __setitem__(self, key, value): self._w = value
            @property
            def w(self): raise SystemExit("w")
            @w.setter
            def w(self, value): self._w = value
        shy = Shy()
        shy.w = shy._w * 2
        shy["w"] = shy._w * 3
        done = True
        """)
    assert run.names["done"]


def test_names_of_what_no_statement_bound():
    run = record_source("""
        import torch
        layer = torch.nn.Linear(2, 2)
        y = layer(torch.ones(1, 2))
        """)
    assert {"layer.weight", "layer.bias"} <= {b.name for b in run.recording.bindings}


def test_loops_of_plain_python_are_not_looked_at_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, look = [0], NameTracer._look

    def counted(self: NameTracer, *arguments: Any) -> None:
        looked[0] += 1
        look(self, *arguments)

    monkeypatch.setattr(NameTracer, "_look", counted)
    text = """
        import torch
        x = torch.ones(2).exp()
        counts = {}
        for i in range(N):
            counts[i % 7] = counts.get(i % 7, 0) + i * 2
        """
    found = []
    for n in (10_000, 60_000):
        looked[0] = 0
        record_source(text.replace("N", str(n)))
        found.append(looked[0])
    assert 0 < found[0] == found[1] < 10_000, found
