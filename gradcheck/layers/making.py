"""Ways to give a constructor its arguments, the likeliest first: guesses from names and annotations."""

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gradcheck.layers.gradients import parameters_of
from gradcheck.layers.sizes import BASE, Size, TensorTerm, Term
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Plan, own_random_numbers
from gradcheck.layers.wanted import constructor_options, is_a_size
from gradcheck.program.errors import ProgramError

InputLike = str | Sequence[int] | torch.Tensor | np.ndarray[Any, Any]
_MOST_ARGUMENTS = 40
_HOW_ARGUMENTS = "give it: --args 3,5 by position, --kwargs size=3,bias=False by name"


class CannotCallError(ProgramError):
    """No way to make or call the layer was found; the message says what was tried, the hint how to say it."""


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


def input_term(given: InputLike) -> TensorTerm:
    """Raises ValueError."""
    if isinstance(given, np.ndarray):
        given = torch.from_numpy(given)
    if isinstance(given, torch.Tensor):
        if given.dtype is torch.bool:
            return TensorTerm(tuple(given.shape), "bool")
        if given.is_floating_point():
            return TensorTerm(tuple(given.shape))
        return TensorTerm(tuple(given.shape), "int", int(given.max()) + 1 if given.numel() else 1)
    if not isinstance(given, str):
        given = ",".join(map(str, given))
    shape, _, kind = given.partition(":")
    try:
        dims = tuple(int(part) for part in shape.split(",") if part.strip())
        if kind in ("", "bool", "unit"):
            return _checked(TensorTerm(dims, kind or "float"))
        return _checked(TensorTerm(dims, "int", int(kind)))
    except ValueError:
        raise ValueError(
            f"`{given}` is not a shape: 4,3 is a tensor of 4 by 3, 4,3:10 integers below 10, 4,3:unit numbers from 0 to 1"
        ) from None


def _checked(term: TensorTerm) -> TensorTerm:
    if not term.dims or any(size < 1 for size in term.dims) or (term.kind == "int" and term.high < 1):
        raise ValueError
    return term


@dataclass(frozen=True, slots=True)
class Making:
    """What there is to choose from for each argument of the constructor, the likeliest first, and how the layer is made
    with one of each; None where they contradict what the person said."""

    options: list[list[Term]]
    plan: Callable[[Sequence[Term]], Plan | None]

    def ways(self) -> Iterator[Plan]:
        plans = map(self.plan, itertools.islice(likeliest_first(self.options), _MOST_ARGUMENTS))
        return (plan for plan in plans if plan is not None)


def making(subject: Subject, given: Given, gates: int = 1) -> Making:
    """`gates`: how many weights are concatenated in those that it is handed, as in an LSTM. Raises CannotCallError."""
    if subject.constructor is None:
        if given.arguments:
            raise CannotCallError(f"{subject.name} takes no arguments", "leave --args and --kwargs out")
        return Making([list(_sized_by_parameters(subject))], lambda terms: terms[0])
    try:
        signature = inspect.signature(subject.constructor)
    except (TypeError, ValueError):
        return Making([], lambda terms: Plan(tuple(given.kwargs), given.args))
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
        found = constructor_options(parameter, len(names), gates)
        if parameter.name in said:
            options.append(_said(said[parameter.name], found))
        elif not found:
            kind = f" ({parameter.annotation})" if parameter.annotation is not parameter.empty else ""
            raise CannotCallError(
                f"what `{subject.name}` should be given for `{parameter.name}`{kind} cannot be inferred from its name",
                _HOW_ARGUMENTS,
            )
        else:
            options.append(found if required else [*found, parameter.default])
        names.append(parameter.name)
    return Making(options, lambda terms: _pinned(names, terms, said, more))


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


def likeliest_first(
    options: Sequence[list[Term]], may_be: Callable[[Term], bool] = lambda term: True
) -> Iterator[tuple[Term, ...]]:
    """All combinations of what may be; those of first choices before those of second ones."""
    for distance in range(sum(len(each) - 1 for each in options) + 1):
        yield from _combined(options, distance, may_be)


def _combined(
    options: Sequence[list[Term]], distance: int, may_be: Callable[[Term], bool]
) -> Iterator[tuple[Term, ...]]:
    """Those of choices that are so many places from the first ones."""
    if not options:
        yield ()
        return
    farthest = sum(len(each) - 1 for each in options[1:])
    for place, term in enumerate(options[0][: distance + 1]):
        if distance - place <= farthest and may_be(term):
            for rest in _combined(options[1:], distance - place, may_be):
                yield (term, *rest)
