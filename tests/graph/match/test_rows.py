"""The mechanism of the recognisers: rows, and the search backwards for what matches one."""

from __future__ import annotations

import pytest
import torch

from gradcheck import ops
from gradcheck.fronts.tape import Op
from gradcheck.graph import flow
from gradcheck.graph.match.cross_entropy import find_cross_entropy
from gradcheck.graph.match.rows import Row, behind, first_match, reduced_axes, search
from tests.graph.match.recorded import Recorded


def _fails(op: Op) -> str | None:
    raise RuntimeError("shapes that do not fit")


def test_the_first_row_that_reads_something_is_the_match() -> None:
    tape = Recorded()
    tape.call(torch.exp, tape.given(torch.ones(2)))
    rows = [
        Row((ops.LOG,), lambda op: "a logarithm"),
        Row((ops.EXP,), _fails),
        Row((ops.EXP,), lambda op: None),
        Row((ops.EXP, ops.LOG), lambda op: "an exponential"),
    ]
    assert first_match(rows, tape.ops[0]) == "an exponential"
    assert first_match(rows[:3], tape.ops[0]) is None


def test_a_search_goes_through_what_it_may_and_stops_at_a_match() -> None:
    tape = Recorded()
    x = tape.call(torch.log, tape.given(torch.ones(2)))
    found = tape.call(torch.exp, x)
    total = tape.call(torch.sum, tape.call(torch.neg, found))
    rows = [Row((ops.EXP, ops.LOG), lambda op: op.name)]
    makers = flow.makers(tape.ops)
    assert search(total, rows, makers, lambda op: True) == ["exp"]
    assert search(total, rows, makers, lambda op: op.operation is ops.SUM) == []


def test_behind_views_is_the_parameter() -> None:
    tape = Recorded()
    w = tape.given(torch.ones(2, 3))
    view = tape.call(torch.t, tape.call(torch.clone, w))

    def keeps(op: Op) -> bool:
        return op.operation.keeps_numbers

    assert list(behind(view, keeps))[-1] is w
    assert list(behind(tape.call(torch.exp, w), keeps))[1:] == []


@pytest.mark.parametrize(
    ("func", "args", "kwargs", "axes"),
    [
        (torch.sum, (), {}, (0, 1)),
        (torch.sum, (0,), {}, (0,)),
        (torch.mean, (), {"dim": (-1,)}, (1,)),
        (torch.var, (0,), {"unbiased": False}, (0,)),
        (torch.norm, (2, 1), {}, (1,)),
        (torch.exp, (), {}, None),
    ],
)
def test_the_axes_of_a_reduction(
    func: object, args: tuple[int, ...], kwargs: dict[str, object], axes: object
) -> None:
    tape = Recorded()
    tape.call(func, tape.given(torch.ones(4, 3)), *args, **kwargs)  # type: ignore[arg-type]
    assert reduced_axes(tape.ops[0]) == axes


@pytest.mark.parametrize("way", ["function", "index", "product", "difference", "probabilities"])
def test_a_cross_entropy_however_it_is_written(way: str) -> None:
    tape = Recorded()
    torch.manual_seed(0)
    scores = torch.randn(6, 4, dtype=torch.float64)
    labels = torch.tensor([0, 3, 1, 1, 2, 0])
    logits, target = tape.given(scores), tape.given(labels)
    if way == "function":
        loss = tape.call(torch.nn.functional.cross_entropy, logits, target)
    elif way == "difference":
        chosen = tape.call(torch.Tensor.__getitem__, logits, (range(6), target))
        loss = tape.call(torch.mean, tape.call(torch.sub, tape.call(torch.logsumexp, logits, 1), chosen))
    elif way == "product":
        one_hot = tape.call(torch.nn.functional.one_hot, target, 4)
        picked = tape.call(torch.mul, tape.call(torch.log_softmax, logits, 1), one_hot)
        loss = tape.call(torch.neg, tape.call(torch.sum, picked))
    else:
        of = torch.log_softmax if way == "index" else torch.softmax
        picked = tape.call(torch.Tensor.__getitem__, tape.call(of, logits, 1), (range(6), target))
        logs = picked if way == "index" else tape.call(torch.log, picked)
        loss = tape.call(torch.neg, tape.call(torch.mean, logs))
    found = find_cross_entropy(loss, tape.ops, tape.tensors.get)
    assert found is not None
    assert found.classes == 4
    expected = torch.nn.functional.cross_entropy(scores, labels, reduction="none")
    assert torch.allclose(found.losses, expected)


def test_a_sigmoid_is_no_softmax() -> None:
    tape = Recorded()
    probabilities = tape.call(torch.sigmoid, tape.given(torch.randn(6, 4, dtype=torch.float64)))
    picked = tape.call(torch.Tensor.__getitem__, probabilities, (range(6), tape.given(torch.zeros(6).long())))
    loss = tape.call(torch.mean, tape.call(torch.log, picked))
    assert find_cross_entropy(loss, tape.ops, tape.tensors.get) is None
