"""Values on the tape: which tensor each call got and gave, however names, views and storages move."""

from __future__ import annotations

import numpy as np
import torch

from gradcheck.fronts.tape import Kind
from tests.support import record_source


def test_rebinding_makes_another_value():
    run = record_source("import torch\nx = torch.ones(3)\nx = x + 1\nx = x * 2\n")
    first, second, third = run.bound("x")
    assert len({first, second, third}) == 3
    add, multiply = run.ops[-2:]
    assert (add.args, add.out) == ((first, 1), second)
    assert (multiply.args, multiply.out) == ((second, 2), third)


def test_in_place_change_keeps_the_value():
    run = record_source("import torch\nx = torch.zeros(3)\nx += 1\nx[0] = 5\nx.mul_(2)\n")
    (x,) = run.bound("x")
    changing = [op for op in run.ops if op.kind is Kind.MUTATE]
    assert [op.name for op in changing] == ["add_", "__setitem__", "mul_"]
    assert all(op.mutated == [x] for op in changing)


def test_views_share_a_root():
    run = record_source(
        "import torch\nx = torch.zeros(4, 3)\nrow = x[1]\nflat = x.view(-1)\nturned = x.T[0]\ndata = x.data\n"
        "same = x.detach()\nother = x + 0\na, b = x[:2]\n"
    )
    (x,) = run.bound("x")
    for name in ("row", "flat", "turned", "data", "same", "a", "b"):
        (value,) = run.bound(name)
        assert value is not x
        assert value.root is x, name
    assert run.bound("other")[0].root is not x


def test_a_leaf_is_kept_as_it_was_before_it_is_changed():
    run = record_source("""
        import torch
        torch.manual_seed(0)
        x = torch.randn(4)
        before = x.clone()
        y = x * 2
        x.view(2, 2)[0] += 1
        after = x.clone()
        """)
    (x,) = run.bound("x")
    assert torch.equal(x.data, run.names["before"])
    assert not torch.equal(run.names["x"], run.names["before"])


def test_a_leaf_that_is_not_changed_is_not_copied():
    run = record_source("import torch\nx = torch.randn(5)\nw = torch.randn(5)\ny = x * w\nw -= y\n")
    (x,), (w,) = run.bound("x"), run.bound("w")
    assert x.data.data_ptr() == run.names["x"].data_ptr()
    assert w.data.data_ptr() != run.names["w"].data_ptr()


def test_data_attribute_is_followed_through_its_change():
    run = record_source("""
        import torch
        p = torch.randn(3, requires_grad=True)
        before = p.detach().clone()
        p.data -= 0.5
        q = torch.randn(3)
        p.data = q
        p.data += 1
        """)
    p = run.bound("p")[0]
    assert torch.equal(p.data, run.names["before"])
    assert [op.name for op in run.ops if op.kind is Kind.DATA_WRITE] == ["data", "data", "data"]
    (q,) = run.bound("q")
    assert not torch.equal(
        q.data, run.names["q"]
    )  # p.data += 1 changed it too, and the leaf was copied before


def test_leaves_of_one_storage_share_a_root():
    run = record_source("""
        import torch
        class Untold(torch.nn.Module): pass
        x = torch.randn(3, 2)
        x.mean()
        p = torch.nn.Parameter(x)
        y = p * 2
        """)
    (x,), (p,) = run.bound("x"), run.bound("p")
    assert p is not x
    assert p.root is x.root


def test_rows_of_an_iterated_tensor_come_from_it():
    run = record_source("""
        import torch
        x = torch.randn(3, 2) * 2
        total = 0
        for row in x:
            total = total + row.sum()
        """)
    (x,) = run.bound("x")
    (unbind,) = [op for op in run.ops if op.name == "unbind"]
    assert unbind.args == (x, 0)
    assert [v.root for v in unbind.out] == [x, x, x]
    assert run.bound("row") == list(unbind.out)


def test_draws_are_kept():
    run = record_source("""
        import torch
        torch.manual_seed(1)
        x = torch.randn(3)
        i = torch.randint(0, 3, (2,))
        w = torch.empty(2, 2).uniform_(-1, 1)
        y = x[i] @ w
        """)
    (x,), (i,) = run.bound("x"), run.bound("i")
    assert torch.equal(x.data, run.names["x"])
    assert torch.equal(i.data, run.names["i"])
    (filled,) = [op for op in run.ops if op.kind is Kind.RANDOM_MUTATE]
    assert torch.equal(filled.extra, run.names["w"])


def test_dropout_keeps_the_random_state_it_began_with():
    run = record_source("""
        import torch, torch.nn.functional as F
        x = torch.ones(50)
        y = F.dropout(x, 0.5)
        z = F.dropout(x, 0.5, training=False)
        """)
    drawn, plain = [op for op in run.ops if op.name == "dropout"]
    assert (drawn.kind, plain.kind) == (Kind.DROPOUT, Kind.PURE)
    state = torch.get_rng_state()
    torch.set_rng_state(drawn.extra)
    again = torch.nn.functional.dropout(torch.ones(50), 0.5)
    torch.set_rng_state(state)
    assert torch.equal(again, run.names["y"])


def test_running_statistics_of_a_fused_batchnorm_are_changed_by_it():
    run = record_source("""
        import torch, torch.nn.functional as F
        mean, var, x = torch.zeros(3), torch.ones(3), torch.randn(8, 3)
        seen = mean * 2
        y = F.batch_norm(x, mean, var, training=True)
        """)
    (mean,), (var,) = run.bound("mean"), run.bound("var")
    (op,) = [op for op in run.ops if op.name == "batch_norm"]
    assert op.mutated == [mean, var]


def test_gradients_written_and_read():
    run = record_source("""
        import torch
        w = torch.randn(3, requires_grad=True)
        g = torch.ones(3)
        w.grad = g
        seen = w.grad
        """)
    (w,), (g,) = run.bound("w"), run.bound("g")
    (write,) = [op for op in run.ops if op.kind is Kind.GRAD_WRITE]
    assert write.args == (w, g)
    assert run.bound("seen") == [g]
    assert g.autograd_of is None


def test_what_autograd_adds_to_is_another_value_afterwards():
    run = record_source("""
        import torch
        w = torch.ones(3, requires_grad=True)
        (w * 2).sum().backward()
        first = w.grad
        (w * 3).sum().backward()
        second = w.grad
        """)
    (w,), (first,), (second,) = run.bound("w"), run.bound("first"), run.bound("second")
    assert first is not second
    assert first.autograd_of is w
    assert second.autograd_of is w
    assert first.data.tolist() == [2, 2, 2]
    assert second.data.tolist() == [5, 5, 5]


def test_numpy_ufuncs_are_what_they_compute():
    run = record_source("""
        import numpy as np, torch
        x = torch.randn(4, 3)
        a = np.maximum(x, 0.1 * x)
        b = np.exp(x)
        c = np.float64(2) * x
        d = np.maximum(np.zeros((4, 3), dtype=np.float32), x)
        """)
    named = {name: run.bound(name)[0] for name in "xabcd"}
    (maximum, other), (exp,) = (
        [op for op in run.ops if op.name == name and op.kind is Kind.PURE] for name in ("maximum", "exp")
    )
    assert maximum.func is torch.maximum
    assert maximum.args[0] is named["x"]
    assert (maximum.out, exp.out) == (named["a"], named["b"])
    assert exp.args == (named["x"],)
    assert named["c"].producer.name in ("mul", "__rmul__")
    assert other.args[0].producer.name == "zeros"
    assert run.source(maximum) == "np.maximum(x, 0.1 * x)"


def test_a_number_read_out_of_a_tensor_is_known_where_it_comes_back():
    run = record_source("import torch\nx = torch.randn(5)\ns = x.std().item()\ny = x / s\n")
    division = run.ops[-1]
    assert division.args[1].source.producer.name == "std"
    assert division.args[1].was == run.names["s"]


def test_lists_of_data_are_leaves_and_not_arguments():
    run = record_source("import torch\nx = torch.tensor([float(i) for i in range(500)])\ny = x * 2\n")
    assert run.op_names() == ["mul"]
    assert torch.equal(run.bound("x")[0].data, torch.arange(500.0))


def test_exact_places():
    run = record_source("""
        import torch
        x, w = torch.ones(2, 3), torch.ones(3, 2)
        y = (x @ w + 1).tanh() - (x * 2)[:, :2].exp()
        def f(a): return a.sum(0) / a.size(0)
        z = f(y)
        """)
    places = {op.name: run.source(op) for op in run.ops}
    assert places["matmul"] == "x @ w"
    assert places["add"] == "x @ w + 1"
    assert places["tanh"] == "(x @ w + 1).tanh()"
    assert places["mul"] == "x * 2"
    assert places["__getitem__"] == "(x * 2)[:, :2]"
    assert places["exp"] == "(x * 2)[:, :2].exp()"
    assert places["sub"] == "(x @ w + 1).tanh() - (x * 2)[:, :2].exp()"
    assert places["sum"] == "a.sum(0)"


def test_library_code_is_placed_at_the_persons_call():
    run = record_source("""
        import torch
        layer = torch.nn.Linear(3, 2)
        y = layer(torch.ones(4, 3))
        """)
    (linear,) = [op for op in run.ops if op.name == "linear"]
    assert run.source(linear) == "layer(torch.ones(4, 3))"


def test_what_our_own_looking_does_is_not_recorded():
    run = record_source("""
        import torch
        class Net: pass
        net = Net()
        net.w = torch.ones(3, requires_grad=True)
        net.w.grad = torch.zeros(3)
        net.w.grad += 1
        """)
    assert run.op_names() == ["ones", "zeros", "grad", "grad", "add_", "grad"]


def test_arrays_torch_has_no_type_for_are_left_alone():
    run = record_source("""
        import numpy as np, torch
        x = torch.ones(2)
        try:
            y = np.add(np.array([None, 2], dtype=object), x)
        except Exception as error:
            y = error
        z = x + 1
        """)
    assert run.op_names()[-1] == "add"
    assert not run.recording.notes
    assert np.__version__
