"""The graph of a recording: which version of a tensor object is read where."""

from __future__ import annotations

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.graph import Graph
from gradcheck.graph.lower import node_of
from gradcheck.graph.node import Role
from tests.support import Recorded, record_source

START = "import torch\nx = torch.randn(4, 3)\np = torch.randn(4, 3)\n"


def _graph(body: str) -> tuple[Recorded, Graph]:
    recorded = record_source(START + body)
    return recorded, Graph(recorded.ops)


def _named(recorded: Recorded, name: str) -> list[Op]:
    return [op for op in recorded.ops if op.name == name]


def _last(recorded: Recorded, name: str) -> Value:
    return recorded.bound(name)[-1]


def test_a_write_makes_a_new_version() -> None:
    recorded, graph = _graph("a = x * 2\nb = a + p\na.mul_(3)\nc = a + p")
    a = _last(recorded, "a")
    (write,) = _named(recorded, "mul_")
    first, second = _named(recorded, "add")
    before, after = (graph.reads(node_of(op))[0] for op in (first, second))
    assert (before.value, after.value) == (a, a)
    assert (before.number, after.number) == (0, 1)
    assert before.node is node_of(_named(recorded, "mul")[0])
    assert after.node is node_of(write)
    assert graph.reads(node_of(write)) == [before]
    assert graph.makes(node_of(write)) == [after]


def test_a_write_through_a_view_is_one_to_its_base_and_its_other_views() -> None:
    recorded, graph = _graph("a = x * 2\nrow = a[1]\nflat = a.view(-1)\nrow.add_(1)\nc = a + p\nd = flat * 2")
    a, row, flat = (_last(recorded, name) for name in ("a", "row", "flat"))
    (write,) = _named(recorded, "add_")
    assert {graph.base(value, write.index) for value in (a, row, flat)} == {a}
    for value in (a, row, flat):
        assert graph.version(value, write.index - 1).number == 0
        assert graph.version(value, write.index).node is node_of(write)
        assert graph.writes_between(value, write.index - 1, len(recorded.ops)) == [node_of(write)]
    assert graph.writes_between(a, write.index, len(recorded.ops)) == []


def test_a_view_that_is_taken_after_a_write_is_made_by_its_own_node() -> None:
    recorded, graph = _graph("a = x * 2\na.add_(1)\nrow = a[1]\nc = row * 2")
    row = _last(recorded, "row")
    version = graph.version(row, len(recorded.ops))
    assert version.number == 1
    assert version.node is node_of(_named(recorded, "__getitem__")[0])


def test_another_tensor_as_data() -> None:
    recorded, graph = _graph("b = x * 2\np.data = b\nb.add_(1)\nc = p * 1")
    b, p = _last(recorded, "b"), _last(recorded, "p")
    rebound = next(op for op in recorded.ops if node_of(op).role is Role.REBIND)
    assert graph.base(p, rebound.index - 1) is p
    assert graph.base(p, rebound.index) is b
    (read,) = graph.reads(node_of(_named(recorded, "mul")[-1]))
    assert read.value is p
    assert read.node is node_of(_named(recorded, "add_")[0])


def test_a_contiguous_copy_is_no_view() -> None:
    recorded, graph = _graph("t = x.T.contiguous()\nx.add_(1)\nc = t * 2")
    t = _last(recorded, "t")
    assert graph.base(t, len(recorded.ops)) is t
    assert graph.version(t, len(recorded.ops)).number == 0


def test_a_leaf_has_no_node() -> None:
    recorded, graph = _graph("c = x * p")
    reads = graph.reads(node_of(_named(recorded, "mul")[0]))
    assert [read.number for read in reads] == [0, 0]
    assert [read.node.role if read.node else None for read in reads] == [Role.CONSTANT, Role.CONSTANT]
