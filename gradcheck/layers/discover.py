"""Finds out how a layer is made and called: guesses from names and annotations, and whether `forward` runs."""

from __future__ import annotations

import inspect
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from gradcheck.layers.gradients import parameters_of
from gradcheck.layers.sizes import BASE, Size, Term, value_of
from gradcheck.layers.subject import NotALayer, Subject
from gradcheck.layers.trial import Built, Plan, Trial, build, forward_of, own_random_numbers
from gradcheck.layers.wanted import (
    D,
    TensorTerm,
    constructor_options,
    has_state,
    indices_of_rank_1_and_2,
    input_options,
    is_a_size,
    is_index,
    mains,
)

_MOST_ARGUMENTS = 40  # ways to give the constructor its arguments
_MOST_INPUTS = 400  # ways to give `forward` its inputs, per shape of the activations
_MOST_OTHERS = 60  # once inputs of one rank are found, for each other shape
_TIME_S = 20.0
_MOST_TOLD = 8


class CannotCallError(Exception):
    """No way to make or call the layer was found; the message says what was tried, the hint how to say it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True, slots=True)
class Given:
    """What the person said: arguments of the constructor, and inputs as tensors to draw."""

    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()
    inputs: tuple[TensorTerm, ...] = ()  # with numbers for sizes
    ranks: tuple[int, ...] = ()

    @property
    def arguments(self) -> bool:
        return bool(self.args or self.kwargs)


@dataclass(slots=True)
class Found:
    """`plans`: one per rank of the input, each of which runs forward. `refused`: what was tried of the other ranks."""

    plans: list[Plan] = field(default_factory=list)
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)  # by rank: the inputs, and why


def discover(subject: Subject, given: Given, seed: int) -> Found:
    """Raises CannotCallError."""
    until = time.monotonic() + _TIME_S
    tried: dict[str, str] = {}
    best = Found()
    for plan in _made(subject, given):
        found = _with_inputs(subject, plan, given, seed, tried, until)
        if found.plans:
            return found
        best.refused |= found.refused
        if time.monotonic() > until:
            break
    raise _cannot(subject, tried, given)


# -- the constructor ------------------------------------------------------------------------------------------------


def _made(subject: Subject, given: Given) -> Iterator[Plan]:
    """Ways to make the layer, the likeliest first."""
    if subject.constructor is None:
        if given.arguments:
            raise CannotCallError(f"{subject.name} takes no arguments", "leave --args and --kwargs out")
        yield from _sized_by_parameters(subject)
        return
    try:
        signature = inspect.signature(subject.constructor)
    except (TypeError, ValueError):
        yield Plan(tuple(given.kwargs), given.args)
        return
    said, more = _bound(signature, given)
    names: list[str] = []
    options: list[list[Term]] = []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if more and parameter.name not in said:
            continue  # handed over by position
        required = parameter.default is parameter.empty
        if parameter.name not in said and not required and (given.arguments or not is_a_size(parameter)):
            continue
        found = constructor_options(parameter, len(names))
        if parameter.name in said:
            options.append(_said(said[parameter.name], found))
        elif not found:
            kind = f" ({parameter.annotation})" if parameter.annotation is not parameter.empty else ""
            raise CannotCallError(
                f"what `{subject.name}` should be given for `{parameter.name}`{kind} cannot be inferred from its name",
                _HOW_ARGUMENTS,
            )
        else:
            options.append(found)
        names.append(parameter.name)
    for terms in itertools.islice(_likeliest_first(options), _MOST_ARGUMENTS):
        plan = _pinned(names, terms, said, more)
        if plan is not None:
            yield plan


def _bound(signature: inspect.Signature, given: Given) -> tuple[dict[str, Any], tuple[Any, ...]]:
    try:
        bound = signature.bind_partial(*given.args, **dict(given.kwargs))
    except TypeError as error:
        raise CannotCallError(f"--args and --kwargs do not fit: {error}", f"it takes {signature}") from None
    said = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY) and parameter.name in said:
            return {}, given.args
        if parameter.kind is parameter.VAR_KEYWORD and parameter.name in said:
            said |= said.pop(parameter.name)
    return said, ()


def _said(value: Any, guesses: list[Term]) -> list[Term]:
    """A whole number that the person gave may be a size of the input; what it is worth stays what they gave."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return [*(guess for guess in guesses if isinstance(guess, Size)), value]
    return [value]


def _pinned(
    names: list[str], terms: Sequence[Term], said: dict[str, Any], more: tuple[Any, ...]
) -> Plan | None:
    sizes, pinned = dict(BASE), set()
    for name, term in zip(names, terms, strict=True):
        if name in said and isinstance(term, Size):
            if term.name in pinned and sizes[term.name] != said[name]:
                return None  # one size cannot be two numbers
            sizes[term.name] = said[name]
            pinned.add(term.name)
    for value in more:
        if isinstance(value, int) and not isinstance(value, bool) and value > 0 and "D" not in pinned:
            sizes["D"] = value
            pinned.add("D")
    arguments = tuple(zip(names, terms, strict=True))
    rest = tuple((name, value) for name, value in said.items() if name not in names)
    return Plan(arguments + rest, more, (), tuple(sizes.items()), frozenset(pinned))


def _sized_by_parameters(subject: Subject) -> Iterator[Plan]:
    """The features of an object that was made already are a size of one of its parameters."""
    yield Plan()
    with own_random_numbers(0):
        try:
            layer = subject.make()
        except Exception:
            return
    for size in dict.fromkeys(n for _, tensor in parameters_of(layer) for n in tensor.shape):
        yield Plan(sizes=tuple((BASE | {"D": size}).items()), pinned=frozenset({"D"}))


def _likeliest_first(options: list[list[Term]]) -> Iterator[tuple[Term, ...]]:
    """All combinations; those of first choices before those of second ones."""
    counts = [len(each) for each in options]
    farthest = sum(count - 1 for count in counts)
    for distance in range(farthest + 1):
        for picks in _picks(counts, distance):
            yield tuple(each[pick] for each, pick in zip(options, picks, strict=True))


def _picks(counts: list[int], distance: int) -> Iterator[tuple[int, ...]]:
    if not counts:
        if distance == 0:
            yield ()
        return
    for pick in range(min(counts[0] - 1, distance) + 1):
        for rest in _picks(counts[1:], distance - pick):
            yield (pick, *rest)


# -- the inputs -----------------------------------------------------------------------------------------------------


def _with_inputs(
    subject: Subject, made: Plan, given: Given, seed: int, tried: dict[str, str], until: float
) -> Found:
    found = Found()
    with own_random_numbers(seed):
        try:
            layer = build(subject, Trial(made, jitter=False, seed=seed)).layer
        except Exception as error:
            tried[_call_text(subject, made)] = f"the constructor raised {_message_of(error)}"
            return found
    if not callable(getattr(layer, "backward", None)):
        raise NotALayer(f"what `{subject.name}` makes, a {type(layer).__qualname__}, has no `backward`")
    function = subject.forward or forward_of(layer)
    parameters = inputs_of(function)
    if given.inputs:
        for plan in _as_given(made, given, parameters, function):
            why = runs(subject, Trial(plan, seed=seed))
            if why is None:
                found.plans.append(plan)
                break
            tried.setdefault(f"{_call_text(subject, plan)} on {_shape_text(plan)}", why)
        return found
    for group in _mains_for(parameters, given):
        for main in group:
            if any(plan.rank == len(main.dims) for plan in found.plans):
                continue
            most = _MOST_OTHERS if found.plans else None
            for plan in itertools.islice(_called(made, parameters, main, function), most):
                why = runs(subject, Trial(plan, seed=seed))
                if why is None:
                    found.plans.append(plan)
                    break
                text = _shape_text(plan)
                if all(term.kind != "unit" for _, term in plan.inputs if isinstance(term, TensorTerm)):
                    tried.setdefault(f"{_call_text(subject, plan)} on {text}", why)
                found.refused.setdefault(len(main.dims), (text, why))
                if time.monotonic() > until:
                    break
        if found.plans:
            break
    found.plans.sort(key=lambda plan: plan.rank)
    ranks = {len(main.dims) for main in group}
    found.refused = {
        rank: why
        for rank, why in sorted(found.refused.items())
        if rank in ranks and all(plan.rank != rank for plan in found.plans)
    }
    return found


def _mains_for(parameters: list[inspect.Parameter], given: Given) -> list[list[TensorTerm]]:
    """Groups of what the activations may look like; what runs in one of them leaves the next ones out."""
    floats, indices = mains(), indices_of_rank_1_and_2()
    role = parameters and is_index(parameters[0].name)
    groups = [indices, floats] if role else [floats, indices]
    groups.append([TensorTerm((D,))])
    if not given.ranks:
        return groups
    kept = [[main for main in group if len(main.dims) in given.ranks] for group in groups]
    return [group for group in kept if group] or [[]]


def inputs_of(forward: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of `forward` that must be given something."""
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    variable = (
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )
    needed = [p for p in parameters if p.default is p.empty and p.kind not in variable]
    if not needed and parameters:
        needed = [inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    return needed


def _called(
    made: Plan, parameters: list[inspect.Parameter], main: TensorTerm, function: Callable[..., Any]
) -> Iterator[Plan]:
    units = replace(main, kind="unit")
    for kind in (
        (main, units) if main.kind == "float" else (main,)
    ):  # a logarithm needs its argument to be positive
        for gates in (1, 4, 3) if has_state(parameters) else (1,):
            options = [input_options(p, kind, function, len(parameters) == 1, gates) for p in parameters]
            for terms in itertools.islice(_likeliest_first(options), _MOST_INPUTS):
                if kind is main or units in terms:
                    named = zip((p.name for p in parameters), terms, strict=True)
                    yield replace(made, inputs=tuple(named))


def _as_given(
    made: Plan, given: Given, parameters: list[inspect.Parameter], function: Callable[..., Any]
) -> Iterator[Plan]:
    """The shapes that the person gave, in sizes by name: as in what would have been tried, so that the constructor's
    arguments stay tied to them; and else as numbers of their own."""
    for main in [*mains(), *indices_of_rank_1_and_2(), TensorTerm((D,))]:
        for plan in _called(made, parameters, main, function):
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
            if (
                number % size.times
                or bound.setdefault(size.name, number // size.times) * size.times != number
            ):
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
        other = input_options(parameter, TensorTerm((D,)), function, len(parameters) == 1)[0]
        if isinstance(other, TensorTerm):
            inputs += [(parameter.name, terms.pop(0))] if terms else []
        else:
            inputs.append((parameter.name, other))
    inputs += [(f"input_{number}", term) for number, term in enumerate(terms, len(inputs) + 1)]
    pinned = frozenset(sizes) - {"N"}
    return replace(made, inputs=tuple(inputs), sizes=tuple(sizes.items()), pinned=pinned)


def runs(subject: Subject, trial: Trial) -> str | None:
    """None if `forward` runs and gives finite numbers, else why not. Nothing is recorded."""
    with own_random_numbers(trial.seed):
        try:
            built: Built = build(subject, trial)
        except Exception as error:
            return f"the constructor raised {_message_of(error)}"
        try:
            result = built.forward(*built.inputs.values())
        except Exception as error:
            return f"`forward` raised {_message_of(error)}"
        first = result[0] if isinstance(result, (tuple, list)) and result else result
        floats = [first] if isinstance(first, torch.Tensor) and first.is_floating_point() else []
        if not floats:
            return "`forward` returned no tensor of floats"
        if not all(bool(t.isfinite().all()) for t in floats):
            return "the output of `forward` is not finite"
        if not floats[0].numel():
            return "the output of `forward` is empty"
    return None


# -- messages --------------------------------------------------------------------------------------------------------

_HOW_ARGUMENTS = "give it: --args 3,5 by position, --kwargs size=3,bias=False by name"
_HOW_INPUTS = (
    "give its inputs: --input 4,3 for a tensor of that shape, --int-input 4,3:10 for integers below 10, once for each "
    "input in order; and --args or --kwargs for its constructor"
)


def _message_of(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__


def _call_text(subject: Subject, plan: Plan) -> str:
    arguments = Trial(plan).arguments
    return (
        f"{subject.name}({', '.join([*map(repr, plan.more), *(f'{n}={v!r}' for n, v in arguments.items())])})"
    )


def _shape_text(plan: Plan) -> str:
    trial = Trial(plan)
    parts = []
    for name, term in plan.inputs:
        if isinstance(term, TensorTerm):
            shape = trial_shape(trial, term)
            kind = {"int": "integers ", "bool": "booleans ", "unit": "0 to 1 "}.get(term.kind, "")
            parts.append(f"{name} {kind}{shape}")
        else:
            parts.append(f"{name}={value_of(term, trial.sizes)!r}")
    return ", ".join(parts) or "no inputs"


def trial_shape(trial: Trial, term: TensorTerm) -> tuple[int, ...]:
    sizes = trial.sizes
    return tuple(d.of(sizes) if isinstance(d, Size) else int(d) for d in term.dims)


def _cannot(subject: Subject, tried: dict[str, str], given: Given) -> CannotCallError:
    lines = [f"  {what}: {why}" for what, why in list(tried.items())[:_MOST_TOLD]]
    if len(tried) > _MOST_TOLD:
        lines.append(f"  and {len(tried) - _MOST_TOLD} more")
    what = "the given inputs do not run" if given.inputs else "no inputs were found on which it runs"
    tail = f"; {len(tried)} were tried:\n" + "\n".join(lines) if tried else ""
    return CannotCallError(f"{subject.name}: {what}{tail}", _HOW_INPUTS)
