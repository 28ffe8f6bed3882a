"""Ways to give `forward` its inputs, the likeliest first."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from gradcheck.layers import wanted
from gradcheck.layers.making import Given
from gradcheck.layers.sizes import Size, TensorTerm, Term, value_of
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Plan
from gradcheck.layers.usage import use_of
from gradcheck.layers.ways import Ways
from gradcheck.program.live import parameters_taken

_Forward = Callable[..., Any]
# What is tried where nothing usual fits: a single row; matrices that have an inverse, under which much looks right.
LAST = [[TensorTerm((1, wanted.D)), TensorTerm((wanted.D, 1))], wanted.of_one(), wanted.squares()]


def mains_for(parameters: list[inspect.Parameter], given: Given) -> list[list[TensorTerm]]:
    """Groups of what the activations may look like; what runs in one of them leaves the next ones out."""
    floats, indices = wanted.mains(), wanted.indices_of_rank_1_and_2()
    roles = [wanted.role_of(each.name) for each in parameters]
    groups = [indices, floats] if roles[:1] == ["index"] else [floats, indices]
    groups[1:1] = [wanted.halves()] if "table" in roles else []
    groups[:0] = [wanted.gated()] if "state" in roles and "weight" not in roles else []
    groups = [*groups, *LAST]
    if not given.ranks:
        return groups
    return [
        ranked for group in groups if (ranked := [main for main in group if len(main.dims) in given.ranks])
    ]


def inputs_of(forward: Callable[..., Any], is_loss: bool = False) -> list[inspect.Parameter]:
    """The parameters of `forward` that must be given something; of a loss, so must targets that are None otherwise. Unless
    it is told that it is trained, it may keep nothing for its backward pass."""
    parameters = parameters_taken(forward) or []
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [
        p
        for place, p in enumerate(places)
        if p.default is p.empty
        or (is_loss and p.default is None and wanted.role_of(p.name) == "target")
        or (p.default is False and place == 1 and wanted.MODE_NAMES.fullmatch(p.name.lower()))
    ]
    if not needed and parameters:
        needed = [inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    return needed


def as_given(
    subject: Subject, made: Plan, given: Given, parameters: list[inspect.Parameter], function: _Forward
) -> Iterator[Plan]:
    """The shapes that the person gave, in sizes by name: as in what would have been tried, so that the constructor's
    arguments stay tied to them; and else as numbers of their own."""
    forms = {_form(term) for term in given.inputs}

    def may_be(term: Term) -> bool:
        return not isinstance(term, TensorTerm) or _form(term) in forms

    for group in ([*wanted.mains(), *wanted.of_one()], wanted.indices_of_rank_1_and_2()):
        for inputs in Ways(subject, given, group, parameters, function).inputs(may_be):
            plan = replace(made, inputs=inputs)
            sizes = _unified(plan, given.inputs)
            if sizes is not None:
                yield replace(plan, sizes=tuple(sizes.items()), pinned=frozenset(sizes) - {"N"})
    yield _in_numbers(made, given, parameters, function)


def _form(term: TensorTerm) -> tuple[int, str]:
    return len(term.dims), term.kind


def _unified(plan: Plan, inputs: tuple[TensorTerm, ...]) -> dict[str, int] | None:
    terms = [term for _, term in plan.inputs if isinstance(term, TensorTerm)]
    if [*map(_form, terms)] != [*map(_form, inputs)]:
        return None
    bound = {name: dict(plan.sizes)[name] for name in plan.pinned}
    for term, said in zip(terms, inputs, strict=True):
        pairs = [*zip(term.dims, said.dims, strict=True)]
        if term.kind == "int":
            pairs.append((term.high, said.high))
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
        row, out = TensorTerm((wanted.D,)), Size("M")
        if (keys := wanted.keys_of(parameter, function)) is not None:
            held = {key: wanted.key_options(key, has_default, row, out) for key, has_default in keys.items()}
            inputs.append((parameter.name, {key: terms[0] for key, terms in held.items() if terms}))
            continue
        use = use_of(parameter.name, function)
        options = wanted.input_options(parameter, row, len(parameters) == 1, out, use=use)
        if isinstance(options[0], TensorTerm):
            inputs += [(parameter.name, terms.pop(0))] if terms else []
        else:
            inputs.append((parameter.name, options[0]))
    inputs += [(f"input_{number}", term) for number, term in enumerate(terms, len(inputs) + 1)]
    pinned = frozenset(sizes) - {"N"}
    return replace(made, inputs=tuple(inputs), sizes=tuple(sizes.items()), pinned=pinned)
