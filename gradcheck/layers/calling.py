"""Ways to give `forward` its inputs, the likeliest first."""

import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from gradcheck.layers.making import Given, likeliest_first
from gradcheck.layers.sizes import Size, TensorTerm, Term, value_of
from gradcheck.layers.trial import Plan
from gradcheck.layers.usage import use_of
from gradcheck.layers.wanted import (
    D,
    gated,
    halves,
    has_state,
    indices_of_rank_1_and_2,
    input_options,
    mains,
    of_one,
    role_of,
    squares,
)
from gradcheck.program.live import parameters_taken

_MOST_INPUTS = 400  # per shape of the activations


ONE_ROW = [TensorTerm((1, D)), TensorTerm((D, 1))]


def mains_for(parameters: list[inspect.Parameter], given: Given) -> list[list[TensorTerm]]:
    """Groups of what the activations may look like; what runs in one of them leaves the next ones out."""
    floats, indices = mains(), indices_of_rank_1_and_2()
    roles = [role_of(each.name) for each in parameters]
    groups = [indices, floats] if roles[:1] == ["index"] else [floats, indices]
    groups[1:1] = [halves()] if "table" in roles else []
    groups[:0] = [gated()] if "state" in roles and "weight" not in roles else []
    groups = [*groups, squares(), ONE_ROW, of_one()]
    if not given.ranks:
        return groups
    return [
        ranked for group in groups if (ranked := [main for main in group if len(main.dims) in given.ranks])
    ]


def inputs_of(forward: Callable[..., Any], is_loss: bool = False) -> list[inspect.Parameter]:
    """The parameters of `forward` that must be given something; of a loss, so must targets that are None otherwise."""
    parameters = parameters_taken(forward) or []
    needed = [
        p
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        and (p.default is p.empty or (is_loss and p.default is None and role_of(p.name) == "target"))
    ]
    if not needed and parameters:
        needed = [inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    return needed


def called(
    made: Plan, parameters: list[inspect.Parameter], main: TensorTerm, function: Callable[..., Any]
) -> Iterator[Plan]:
    units = replace(main, kind="unit")
    # A logarithm needs its argument to be positive.
    for kind in (main, units) if main.kind == "float" else (main,):
        for gates in (1, 4, 3) if has_state(parameters) else (1,):
            out = Size("M", gates)
            alone = len(parameters) == 1
            options = [
                input_options(p, kind, function, alone, out, not place) for place, p in enumerate(parameters)
            ]
            for terms in itertools.islice(likeliest_first(options), _MOST_INPUTS):
                if kind is main or units in terms:
                    named = zip((p.name for p in parameters), terms, strict=True)
                    yield replace(made, inputs=tuple(named))


def as_given(
    made: Plan, given: Given, parameters: list[inspect.Parameter], function: Callable[..., Any]
) -> Iterator[Plan]:
    """The shapes that the person gave, in sizes by name: as in what would have been tried, so that the constructor's
    arguments stay tied to them; and else as numbers of their own."""
    for main in [*mains(), *indices_of_rank_1_and_2(), *of_one()]:
        for plan in called(made, parameters, main, function):
            sizes = _unified(plan, given.inputs)
            if sizes is not None:
                yield replace(plan, sizes=tuple(sizes.items()), pinned=frozenset(sizes) - {"N"})
    yield _in_numbers(made, given, parameters, function)


def _unified(plan: Plan, inputs: tuple[TensorTerm, ...]) -> dict[str, int] | None:
    terms = [term for _, term in plan.inputs if isinstance(term, TensorTerm)]
    if [(len(t.dims), t.kind) for t in terms] != [(len(t.dims), t.kind) for t in inputs]:
        return None
    bound = {name: dict(plan.sizes)[name] for name in plan.pinned}
    for term, wanted in zip(terms, inputs, strict=True):
        pairs = [*zip(term.dims, wanted.dims, strict=True)]
        if term.kind == "int":
            pairs.append((term.high, wanted.high))
        for size, number in pairs:
            if isinstance(size, Size):
                bound.setdefault(size.name, number // size.times)
            if value_of(size, dict(plan.sizes) | bound) != number:
                return None
    return dict(plan.sizes) | bound


def _in_numbers(
    made: Plan, given: Given, parameters: list[inspect.Parameter], function: Callable[..., Any]
) -> Plan:
    """The first size is the rows; a size that an argument has too is that argument's."""
    sizes = dict(made.sizes)
    names = {sizes[name]: name for name in sorted(made.names, reverse=True)}
    rows = given.inputs[0].dims[0] if given.inputs[0].dims else None

    def named(size: int, first: bool) -> Size:
        name = "N" if first and size == rows else names.get(size, f"size {size}")
        names.setdefault(size, name)
        sizes[name] = size
        return Size(name)

    terms: list[Term] = []
    for tensor in given.inputs:
        dims = tuple(named(size, place == 0) for place, size in enumerate(tensor.dims))
        high = named(tensor.high, False) if tensor.kind == "int" else 0
        terms.append(TensorTerm(dims, tensor.kind, high))
    inputs: list[tuple[str, Term]] = []
    for parameter in parameters:
        alone, use = len(parameters) == 1, use_of(parameter.name, function)
        other = input_options(parameter, TensorTerm((D,)), function, alone, Size("M"), use=use)[0]
        if isinstance(other, TensorTerm):
            inputs += [(parameter.name, terms.pop(0))] if terms else []
        else:
            inputs.append((parameter.name, other))
    inputs += [(f"input_{number}", term) for number, term in enumerate(terms, len(inputs) + 1)]
    pinned = frozenset(sizes) - {"N"}
    return replace(made, inputs=tuple(inputs), sizes=tuple(sizes.items()), pinned=pinned)
