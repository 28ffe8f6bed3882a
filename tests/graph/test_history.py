"""Who wrote to a storage, and who read it, at a moment of a recording."""

from __future__ import annotations

import torch

from gradcheck.fronts.tape import Kind
from gradcheck.graph.history import History
from tests.graph.match.recorded import Recorded


def test_makers_are_the_nearest_first_and_none_of_a_later_moment() -> None:
    tape = Recorded()
    x = tape.given(torch.ones(3))
    h = tape.call(torch.exp, x)
    y = tape.call(torch.neg, h)
    tape.call(torch.Tensor.mul_, h, 2.0, kind=Kind.MUTATE)
    z = tape.call(torch.neg, h)
    exp, neg, mul, last = tape.ops
    history = History(tape.ops)
    assert list(history.makers([y], last.index)) == [neg, exp]
    assert list(history.makers([z], 9)) == [last, mul, exp]
    assert list(history.makers([z], 9, stop={mul})) == [last, mul, exp]  # it wrote to what `exp` made
    assert list(history.makers([z], 9, stop={last})) == [last]
    assert history.made == {h, y, z}


def test_users_are_those_after_a_moment() -> None:
    tape = Recorded()
    x = tape.given(torch.ones(3))
    h = tape.call(torch.exp, x)
    tape.call(torch.neg, h)
    y = tape.call(torch.sin, h)
    tape.call(torch.cos, y)
    _, neg, sin, cos = tape.ops
    history = History(tape.ops)
    assert set(history.users(h, 0)) == {neg, sin, cos}
    assert set(history.users(h, neg.index)) == {sin, cos}
