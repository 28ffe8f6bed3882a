"""The runner: whatever it changes in place or copies first, every tensor is what the program had; and so are gradients."""

from __future__ import annotations

import pytest
import torch

from gradcheck.fronts.tape import Value
from gradcheck.graph.lower import node_of
from gradcheck.graph.node import Role
from gradcheck.replay.forward import ForwardGraph
from gradcheck.replay.runner import Runner
from tests.support import Recorded, record_source

START = """
import torch
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
x = torch.randn(4, 3)
p = torch.randn(4, 3)
"""

PROGRAMS = {
    "in-place arithmetic": "a = x * 2\nb = a.exp()\na += p\na.mul_(3).sub_(x)\nc = a + b",
    "a leaf": "x += 1\nc = x * p\nx.zero_()\nd = x + p",
    "items": "a = torch.zeros(4, 3)\nfor i in range(4):\n    a[i] = x[i] * p[i]\na[1:3, 0] = 5.0\nc = a.sum(0)",
    "a mask": "a = x.clone()\na[a < 0] = 0.0\nm = x > 0\na[m] *= 2\nc = a * p",
    "index_put": "a = torch.zeros(3)\na.index_put_((torch.tensor([0, 0, 2]),), x[0], accumulate=True)\nc = a * 2",
    "through a view": "a = x * 1\nr = a[1]\nr += 10\nr.mul_(p[0])\nc = a * 2\nd = r + 1",
    "a view read after a write to its base": "a = x * 1\nr = a.T\nv = r[0]\na.mul_(2)\nc = r + 1\nd = v * v",
    "a view of a view": "a = x * 1\nv = a.view(2, 6)[:, 1:5].T\nv[0] = 7.0\nv += 1\nc = a + 0",
    "stride zero": "a = x.sum(0)\ne = a.expand(4, 3)\na += 1\nc = e * x",
    "negative steps": "a = x * 1\nf = torch.flip(a, (0,))\na += 1\nc = f + a",
    "unbind and split": "a = x * 1\nu, v, w = a.unbind(1)\nu += v\nl, r = a.split(2)\nl.mul_(r)\nc = a + 0\nd = w + u",
    "reads where it writes": "a = x * 1\na[:2].mul_(a[2:])\na[0] += a.sum(0)\na[1].mul_(a[0])\nc = a + 0",
    "diagonal": "a = x[:3] * 1\na.diagonal().add_(5)\nc = a @ a",
    "data": "a = x * 1\na.data += 2\na.data[0] = 1.0\nc = a * p",
    "another tensor's data": "b = p * 2\nx.data = b\nb += 1\nc = x * 3\nx -= 1\nd = b + 0",
    "data written back": "p.data -= 0.1 * (x * p)\np.data -= 0.1 * (x * p)\nc = p * 2",
    "detach": "a = x * 2\nb = a.detach()\na += 1\nc = b * a\nb.mul_(2)\nd = a + 0",
    "out": "a = torch.empty(4, 3)\ntorch.mul(x, p, out=a)\nb = a + 1\ntorch.add(a, x, out=a)\nc = a * b",
    "copy": "a = torch.empty(4, 3)\na.copy_(x)\na[:, 1].copy_(p[:, 0])\nc = a * p",
    "a draw": "a = torch.empty(4, 3)\na[:2].normal_()\na[2:].uniform_()\nc = a * x",
    "sums in a loop": "g = torch.zeros(3)\nfor i in range(4):\n    g += x[i]\n    g = g * 0.5 if i == 2 else g\nc = g",
    "the derivative keeps what is overwritten": "a = x.sigmoid()\nb = a * a\na += 1\na.tanh_()\nc = a * b\na.zero_()",
    "the derivative needs the result": "a = x.sigmoid()\na *= p\nb = x.exp()\nb[0] = 1.0\nc = a + b",
    "running statistics": (
        "m, v = torch.zeros(3), torch.ones(3)\n"
        "c = torch.nn.functional.batch_norm(x, m, v, training=True)\nd = m + v"
    ),
    "contiguous": "t = x.T.contiguous()\nx += 1\nc = t * 2",
    "a whole flattened": "a = x * 1\nf = a.reshape(-1)\nf[3] = 2.0\ng = a.T.reshape(-1)\ng += 1\nc = a + f.view(4, 3)",
}


def _recorded(body: str) -> Recorded:
    return record_source(START + body)


def _finals(recorded: Recorded) -> dict[str, tuple[Value, torch.Tensor]]:
    """By name, what it held in the end: the value, and the program's own tensor."""
    value_of = recorded.recording.value_of
    found = {}
    for name, held in recorded.names.items():
        value = value_of(held) if isinstance(held, torch.Tensor) else None
        if value is not None and held.is_floating_point():
            found[name] = value, held
    return found


class CopyingRunner(Runner):
    """Copies before every write: the graph as it is defined."""

    def _must_stay(self, base: Value, held: torch.Tensor) -> bool:
        return True


@pytest.mark.parametrize("kind", [Runner, CopyingRunner])
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_tensor_is_what_the_program_had(name: str, kind: type[Runner]) -> None:
    recorded = _recorded(PROGRAMS[name])
    runner = kind(torch.float64)
    with torch.no_grad():
        runner.run(recorded.ops)
    finals = _finals(recorded)
    assert "c" in finals
    for called, (value, held) in finals.items():
        assert torch.equal(runner.tensor(value), held), called


@pytest.mark.parametrize("kind", [Runner, CopyingRunner])
@pytest.mark.parametrize("name", PROGRAMS)
def test_so_it_is_under_autograd(name: str, kind: type[Runner]) -> None:
    recorded = _recorded(PROGRAMS[name])
    runner = kind(torch.float64, differentiate=True)
    with torch.enable_grad():
        runner.run(recorded.ops)
    finals = _finals(recorded)
    for called, (value, held) in finals.items():
        assert torch.equal(runner.tensor(value), held), called
    loss = sum(runner.tensor(value).sum() for value, _ in finals.values())
    assert isinstance(loss, torch.Tensor)
    loss.backward()  # type: ignore[no-untyped-call] - refused if something it kept was overwritten


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_recording_stays_as_it_was(name: str) -> None:
    recorded = _recorded(PROGRAMS[name])
    values = {value for op in recorded.ops for value in (*op.inputs, *op.outputs) if value.data is not None}
    before = {value: value.data.clone() for value in values if value.data is not None}
    for differentiate in (False, True):
        with torch.set_grad_enabled(differentiate):
            Runner(torch.float64, differentiate=differentiate).run(recorded.ops)
    for value, data in before.items():
        assert value.data is not None
        assert torch.equal(value.data, data)


def test_gradients_are_those_of_the_program_that_writes_in_place() -> None:
    recorded = _recorded(
        "a = x * p\nrow = a[1]\nkept = a * a\nrow *= 3\na += x\nb = a.tanh()\na.mul_(b)\nloss = (a * kept + row.sum()).sum()"
    )
    finals = _finals(recorded)
    ops = [op for op in recorded.ops if op.name not in ("randn", "set_default_dtype")]
    graph = ForwardGraph(ops, finals["loss"][0], torch.float64)
    x, p = (finals[name][1].clone().requires_grad_() for name in "xp")
    a = x * p
    scale = torch.ones(4, 1)
    scale[1] = 3
    first = a * a
    second = a * scale + x
    last = second * second.tanh()
    loss = (last * first + last[1].sum()).sum()
    true = torch.autograd.grad(loss, (x, p))
    assert torch.equal(graph.loss_tensor.detach(), finals["loss"][1])
    for called, gradient in zip("xp", true, strict=True):
        torch.testing.assert_close(graph.truth[finals[called][0]], gradient, rtol=1e-12, atol=1e-12)


def test_a_cast_is_a_copy() -> None:
    recorded = record_source("import torch\nx = torch.ones(3)\na = x.double()\na += 1\nc = x + 0")
    runner = Runner(torch.float64)
    with torch.no_grad():
        runner.run(recorded.ops)
    assert torch.equal(runner.tensor(recorded.bound("c")[0]), torch.ones(3, dtype=torch.float64))


def test_known_tensors_are_never_changed() -> None:
    recorded = _recorded("a = x * 1\nv = a[0]\nv += 1\na *= 2\nc = a + 0")
    a = recorded.bound("a")[0]
    made = next(op for op in recorded.ops if op.out is a)
    given = torch.full((4, 3), 7.0, dtype=torch.float64)
    runner = Runner(torch.float64, known={a: given})
    with torch.no_grad():
        runner.run(op for op in recorded.ops if op.index > made.index)
    assert torch.equal(given, torch.full((4, 3), 7.0, dtype=torch.float64))
    assert torch.equal(runner.tensor(recorded.bound("v")[0]), torch.full((3,), 16.0, dtype=torch.float64))


def test_a_step_at_another_batch_size() -> None:
    recorded = _recorded("a = x * 2\nr = a[:, 1]\nr += 5\nf = a.T\na -= x\nc = f.sum(1) + r.mean()")
    x = _finals(recorded)["x"][0]
    larger = torch.randn(9, 3, dtype=torch.float64)
    for kind in (Runner, CopyingRunner):
        runner = kind(torch.float64, overrides={x: larger})
        with torch.no_grad():
            runner.run(recorded.ops)
        a = larger * 2
        a[:, 1] += 5
        a -= larger
        assert torch.equal(runner.tensor(recorded.bound("c")[0]), a.T.sum(1) + a[:, 1].mean())


def test_the_own_types_of_the_program() -> None:
    recorded = record_source(
        "import torch\nx = torch.ones(3, dtype=torch.float32) / 3\ny = x.double()\nz = (x.half() * 3).float()\nc = y + z"
    )
    runner = Runner(None)
    with torch.no_grad():
        runner.run(recorded.ops)
    for called, (value, held) in _finals(recorded).items():
        assert runner.tensor(value).dtype == held.dtype, called
        assert torch.equal(runner.tensor(value), held), called


def test_roles() -> None:
    recorded = _recorded(
        PROGRAMS["another tensor's data"] + "\nv = c[0]\nn = c.sum().item()\nt = c.contiguous()"
    )
    roles = {op.name: node_of(op).role for op in recorded.ops}
    assert roles["data"] is Role.REBIND
    assert roles["__getitem__"] is Role.VIEW
    assert roles["item"] is Role.NOTHING
    assert roles["contiguous"] is Role.NOTHING
    assert roles["mul"] is Role.CALL
    assert roles["randn"] is Role.CONSTANT
