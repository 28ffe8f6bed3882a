"""The walks of the dataflow, on a small step of a few ops."""

from __future__ import annotations

from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
from gradcheck.graph.derivations import computed_from_each


class Step:
    def __init__(self, inputs: list[Value], outputs: list[Value], mutated: tuple[Value, ...] = ()) -> None:
        self.inputs, self.outputs, self.mutated = inputs, outputs, list(mutated)
        for value in outputs:
            value.producer = self  # type: ignore[assignment]


def value() -> Value:
    return Value(None, 0, ())


A, B, C, D, E = (value() for _ in range(5))
TO_C, TO_D, TO_E = Step([A], [C]), Step([B], [D]), Step([C, D], [E])
STEPS = [TO_C, TO_D, TO_E]


def test_forward_and_backward() -> None:
    assert flow.forward(STEPS, {A}) == {A, C, E}
    assert flow.forward(STEPS, {A}, through=lambda step: step is not TO_E) == {A, C}
    assert flow.forward(STEPS, {A}, into=lambda v: v is not C) == {A}
    assert flow.backward(STEPS, {D}) == {B, D}
    assert flow.backward(STEPS, {E}, into=lambda v: v is not C) == {B, D, E}
    assert flow.backward(STEPS, {E}, through=lambda step: step is not TO_C) == {B, C, D, E}


def test_slices_and_ways_between() -> None:
    assert flow.slice_for(STEPS, {D}) == [TO_D]
    assert flow.slice_for(STEPS, {E}) == STEPS
    assert flow.between(STEPS, {A}, {E}) == [TO_C, TO_E]
    assert flow.between(STEPS, {A}, {D}) == []


def test_the_steps_that_compute_something_from_a_value() -> None:
    assert flow.steps_from(STEPS, {A}) == [TO_C, TO_E]
    assert flow.steps_from([TO_E, TO_C], {A}) == [TO_C]  # what is read before it was made is another value


def test_a_change_in_place_is_a_way_too() -> None:
    target, source = value(), value()
    view = value()
    view.root = target
    change = Step([view, source], [view], (view,))
    assert flow.forward([change], {source}, key=flow.storage) == {source, target}
    assert flow.slice_for([change], {target}) == [change]


def test_marks() -> None:
    marks = {A: frozenset({"a"}), B: frozenset({"b"})}
    carried = flow.taint(STEPS, marks)
    assert carried[C] == {"a"}
    assert carried[E] == {"a", "b"}


def test_ancestors_are_nearest_first() -> None:
    assert flow.ancestors(E) == [E, C, D, A, B]
    assert flow.ancestors(E, stop=lambda v: v is C) == [E, C, D, B]
    assert flow.ancestors(D, C) == [D, C, B, A]


def test_who_reads_and_who_makes() -> None:
    assert flow.readers(STEPS)[C] == [TO_E]
    assert flow.makers(STEPS)[C] == [TO_C]


def test_computed_from_leaves_out_the_start_unless_it_is_changed() -> None:
    assert flow.computed_from(STEPS, {A}) == {C, E}
    target, source = value(), value()
    change = Step([target, source], [], (target,))
    assert flow.computed_from([change], {target}) == {target}


def test_marks_step_by_step() -> None:
    marks: flow.Marks[str] = flow.Marks()
    marks.add(A, "a")
    marks.follow(TO_C)
    marks.add(B, "b")
    marks.follow(TO_D)
    marks.follow(TO_E)
    assert marks.of(E) == {"a", "b"}
    assert marks.of(C, D) == {"a", "b"}
    marks.follow(TO_D, inputs=[C])
    assert marks.of(D) == {"a", "b"}
    marks.replace(D, frozenset())
    assert not marks.of(D)


def test_a_view_is_no_new_storage() -> None:
    view, made = value(), value()
    view.root = A
    assert flow.new_storages([Step([A], [view]), Step([view], [made])], {A}) == {made}


def test_computed_from_many_starts_in_one_walk() -> None:
    change = Step([C, A], [], (A,))
    steps = [*STEPS, change]
    starts = {0: [A, B], 1: [C], 3: [E], 4: [A]}
    placed = [(since, start) for since, values in starts.items() for start in values]
    for until, (made_of, (last, value_)) in enumerate(
        zip(computed_from_each(steps, starts), placed, strict=True)
    ):
        sources = {n for n in range(until + 1) if made_of & (1 << n)}
        expected = {
            n
            for n, (since, start) in enumerate(placed)
            if value_ in flow.computed_from(steps[since:last], {start})
        }
        assert sources == expected
