"""Functions of one number that networks are made of, with their derivatives in words; and the derivatives that are
mistaken for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812

Elementwise = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Function:
    """`derivative` is in terms of the argument {x} and the result {t}; empty where words would be a formula of
    their own."""

    name: str
    apply: Elementwise
    derivative: str = ""

    def slope(self, at: torch.Tensor) -> torch.Tensor:
        """The derivative at every element."""
        leaf = at.detach().clone().requires_grad_()
        with torch.enable_grad():
            made = self.apply(leaf)
            if not made.requires_grad:
                return torch.zeros_like(at)
            return torch.autograd.grad(made.sum(), leaf)[0]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A derivative somebody may have taken: what it is in terms of {x} and {t}, and how it is computed from them."""

    text: str
    compute: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    belongs_to: str = ""  # the function it would be right for


def functions(slopes: list[float], powers: list[float]) -> Iterator[Function]:
    """All known functions; `slopes` and `powers` are numbers of the program that may be parameters of one."""
    yield from _PLAIN
    for slope in slopes:
        yield Function(
            f"leaky relu with slope {slope:g}",
            lambda x, a=slope: F.leaky_relu(x, a),  # type: ignore[misc]
            f"1 where {{x}} > 0 and {slope:g} elsewhere",
        )
        yield Function(f"elu with alpha {slope:g}", lambda x, a=slope: F.elu(x, a))  # type: ignore[misc]
    for power in powers:
        yield Function(
            f"the power {power:g}",
            lambda x, p=power: x**p,  # type: ignore[misc]
            f"{power:g} * {{x}}**{power - 1:g}",
        )


def mistakes(slopes: list[float], powers: list[float]) -> Iterator[Mistake]:
    """Derivatives in terms of argument and result, the simplest first."""
    for letter in ("t", "x"):
        yield from _in(letter, _POLYNOMIALS)
    for number, text in ((0.5, "1/2"), (2.0, "2"), (-1.0, "-1")):
        yield Mistake(text, lambda x, t, c=number: torch.full_like(x, c))  # type: ignore[misc]
    yield Mistake("{x} * {t}", lambda x, t: x * t)
    yield Mistake("{x} * (1 - {t})", lambda x, t: x * (1 - t))
    yield Mistake("{t} * (1 - {x})", lambda x, t: t * (1 - x))
    for letter in ("x", "t"):
        for slope in slopes:
            yield from _in(letter, _kinked(slope))
        for power in powers:
            yield from _in(letter, _powers(power))
        yield from _in(letter, _TRANSCENDENTAL)


def _in(letter: str, formulas: Iterable[tuple[str, Elementwise]]) -> Iterator[Mistake]:
    pick = _result if letter == "t" else _argument
    for text, formula in formulas:
        owner = _OWNERS.get((letter, text), "")
        # The letter u must not be taken out of a function's name.
        yield Mistake(re.sub(r"\bu\b", f"{{{letter}}}", text), _of(pick, formula), owner)


def _result(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return t


def _argument(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return x


def _of(
    pick: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], formula: Elementwise
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    return lambda x, t: formula(pick(x, t))


# In the texts, `u` stands for the argument or the result.
_POLYNOMIALS: tuple[tuple[str, Elementwise], ...] = (
    ("1 - u**2", lambda u: 1 - u**2),
    ("1 - u", lambda u: 1 - u),
    ("1 + u", lambda u: 1 + u),
    ("u - 1", lambda u: u - 1),
    ("1 + u**2", lambda u: 1 + u**2),
    ("u**2 - 1", lambda u: u**2 - 1),
    ("u * (1 - u)", lambda u: u * (1 - u)),
    ("u * (1 + u)", lambda u: u * (1 + u)),
    ("u * (u - 1)", lambda u: u * (u - 1)),
    ("-u**3 / 2", lambda u: -(u**3) / 2),
    ("-u**2", lambda u: -(u**2)),
    ("2 * sqrt(u)", lambda u: 2 * u**0.5),
    ("-2 * u**(3/2)", lambda u: -2 * u**1.5),
    ("(1 - u)**2", lambda u: (1 - u) ** 2),
    ("1 - u**3", lambda u: 1 - u**3),
    ("(1 - u**2)**2", lambda u: (1 - u**2) ** 2),
    ("u", lambda u: u),
    ("-u", lambda u: -u),
    ("2 * u", lambda u: 2 * u),
    ("u**2", lambda u: u**2),
    ("u**3", lambda u: u**3),
    ("1 / u", lambda u: 1 / u),
    ("-1 / u", lambda u: -1 / u),
    ("1 / u**2", lambda u: 1 / u**2),
    ("-1 / u**2", lambda u: -1 / u**2),
    ("1 / (2 * u)", lambda u: 0.5 / u),
    ("u / 2", lambda u: u / 2),
    ("1 / (1 + u)", lambda u: 1 / (1 + u)),
    ("sqrt(u)", torch.sqrt),
    ("(u > 0)", lambda u: (u > 0).to(u.dtype)),
    ("(u < 0)", lambda u: (u < 0).to(u.dtype)),
    ("(u >= 0)", lambda u: (u >= 0).to(u.dtype)),
    ("(u > 1)", lambda u: (u > 1).to(u.dtype)),
    ("(u > 0) * u", lambda u: (u > 0).to(u.dtype) * u),
    ("sign(u)", torch.sign),
)
_TRANSCENDENTAL: tuple[tuple[str, Elementwise], ...] = (
    ("exp(u)", torch.exp),
    ("exp(-u)", lambda u: torch.exp(-u)),
    ("-exp(u)", lambda u: -torch.exp(u)),
    ("log(u)", torch.log),
    ("sin(u)", torch.sin),
    ("cos(u)", torch.cos),
    ("-sin(u)", lambda u: -torch.sin(u)),
    ("-cos(u)", lambda u: -torch.cos(u)),
    ("tanh(u)", torch.tanh),
    ("sigmoid(u)", torch.sigmoid),
)


# Whose derivative a formula is, in terms of the argument (x) or the result (t).
_OWNERS = {
    ("t", "1 - u**2"): "tanh",
    ("t", "u * (1 - u)"): "the sigmoid",
    ("t", "-u**3 / 2"): "the inverse square root",
    ("t", "-u**2"): "1/x",
    ("t", "1 / (2 * u)"): "sqrt",
    ("t", "2 * sqrt(u)"): "the square",
    ("t", "-2 * u**(3/2)"): "the inverse square",
    ("x", "1 / u"): "log",
    ("x", "-1 / u**2"): "1/x",
    ("x", "2 * u"): "the square",
    ("x", "(u > 0)"): "relu",
    ("t", "(u > 0)"): "relu",
    ("x", "sign(u)"): "abs",
    ("x", "exp(u)"): "exp",
    ("x", "cos(u)"): "sin",
    ("x", "-sin(u)"): "cos",
    ("x", "sigmoid(u)"): "softplus",
}


def _kinked(slope: float) -> tuple[tuple[str, Elementwise], ...]:
    shown = f"{slope:g}"
    return (
        (f"1 where u > 0 and {shown} elsewhere", lambda u: torch.where(u > 0, 1.0, slope).to(u.dtype)),
        (f"{shown} where u > 0 and 1 elsewhere", lambda u: torch.where(u > 0, slope, 1.0).to(u.dtype)),
        (f"1 where u > 0 and -{shown} elsewhere", lambda u: torch.where(u > 0, 1.0, -slope).to(u.dtype)),
        (f"{shown} where u > 0 and 0 elsewhere", lambda u: torch.where(u > 0, slope, 0.0).to(u.dtype)),
        (f"0 where u > 0 and {shown} elsewhere", lambda u: torch.where(u > 0, 0.0, slope).to(u.dtype)),
        (f"1 where u > {shown} and 0 elsewhere", lambda u: (u > slope).to(u.dtype)),
        (f"1 where u > 0 and {shown} * u elsewhere", lambda u: torch.where(u > 0, 1.0, slope * u)),
    )


def _powers(power: float) -> tuple[tuple[str, Elementwise], ...]:
    p, less = f"{power:g}", f"{power - 1:g}"
    return (
        (f"{p} * u**{p}", lambda u: power * u**power),
        (f"{less} * u**{less}", lambda u: (power - 1) * u ** (power - 1)),
        (f"{p} * u**{less}", lambda u: power * u ** (power - 1)),
        (f"{p} * u**{power + 1:g}", lambda u: power * u ** (power + 1)),
        (f"{p} * u**{power - 2:g}", lambda u: power * u ** (power - 2)),
        (f"u**{less}", lambda u: u ** (power - 1)),
        (f"{p} * u", lambda u: power * u),
    )


_PLAIN = (
    Function("tanh", torch.tanh, "1 - {t}**2"),
    Function("the sigmoid", torch.sigmoid, "{t} * (1 - {t})"),
    Function("relu", torch.relu, "({x} > 0)"),
    Function("exp", torch.exp, "{t}"),
    Function("log", torch.log, "1 / {x}"),
    Function("sqrt", torch.sqrt, "1 / (2 * {t})"),
    Function("the inverse square root", torch.rsqrt, "-{t}**3 / 2"),
    Function("the square", torch.square, "2 * {x}"),
    Function("softplus", F.softplus, "sigmoid({x})"),
    Function("gelu", F.gelu),
    Function("gelu's tanh approximation", lambda x: F.gelu(x, approximate="tanh")),
    Function("silu", F.silu, "sigmoid({x}) * (1 + {x} * (1 - sigmoid({x})))"),
    Function("sin", torch.sin, "cos({x})"),
    Function("cos", torch.cos, "-sin({x})"),
    Function("abs", torch.abs, "sign({x})"),
    Function("1/x", torch.reciprocal, "-1 / {x}**2"),
    Function("elu", F.elu),
    Function("selu", F.selu),
    Function("relu6", F.relu6),
    Function("hardtanh", F.hardtanh),
    Function("softsign", F.softsign),
    Function("mish", F.mish),
    Function("log-sigmoid", F.logsigmoid, "1 - sigmoid({x})"),
    Function("log1p", torch.log1p, "1 / (1 + {x})"),
    Function("atan", torch.atan, "1 / (1 + {x}**2)"),
)
