"""Functions of one number that networks are made of, with their derivatives in words; and the derivatives that are
mistaken for them. Formulas are text in `x`, the argument, and `t`, the result: shown as they are computed."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType

import torch
import torch.nn.functional as F  # noqa: N812

from gradcheck import ops
from gradcheck.diagnosis.mistakes.arguments import plain_numbers
from gradcheck.fronts.tape import Op
from gradcheck.ops import Operation
from gradcheck.program.reading.tree import expression

Elementwise = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Slopes:
    """Numbers of the program that may be parameters of a function."""

    slopes: tuple[float, ...] = ()
    powers: tuple[float, ...] = ()

    @classmethod
    def of(cls, forward_ops: Iterable[Op]) -> Slopes:
        numbers = dict.fromkeys(number for op in forward_ops for number in plain_numbers(op))
        slopes = dict.fromkeys([*(n for n in numbers if 1e-4 < abs(n) < 1), 0.01])
        powers = [n for n in numbers if n not in (1, 2) and 0.1 < abs(n) <= 10]
        return cls(tuple(slopes)[:4], tuple(powers[:3]))


@dataclass(frozen=True, slots=True)
class Function:
    """`derivative` is empty where it would be a function of its own; `also` are other ways to write it."""

    name: str
    apply: Elementwise
    derivative: str = ""
    also: tuple[str, ...] = ()

    def slope(self, at: torch.Tensor) -> torch.Tensor:
        """The derivative at every element."""
        leaf = at.detach().clone().requires_grad_()
        with torch.enable_grad():
            made = self.apply(leaf)
            if not made.requires_grad:
                return torch.zeros_like(at)
            return torch.autograd.grad(made.sum(), leaf)[0]


def functions(numbers: Slopes) -> Iterator[Function]:
    """All known functions."""
    yield from _KNOWN
    for slope in numbers.slopes:
        leaky = _with_number(F.leaky_relu, slope)
        yield Function(f"leaky relu with slope {slope:g}", leaky, f"1 where x > 0 and {slope:g} elsewhere")
        yield Function(f"elu with alpha {slope:g}", _with_number(F.elu, slope))
    for power in numbers.powers:
        yield Function(
            f"the power {power:g}", _with_number(torch.pow, power), f"{power:g} * x**{power - 1:g}"
        )


def mistakes(numbers: Slopes) -> Iterator[str]:
    """Formulas that somebody may have taken for a derivative, the simplest first."""
    for letter in ("t", "x"):
        yield from (_in(letter, formula) for formula in _POLYNOMIALS)
    yield from ("1/2", "2", "-1", "x * t", "x * (1 - t)", "t * (1 - x)")
    for letter in ("x", "t"):
        for slope in numbers.slopes:
            yield from (_in(letter, re.sub(r"\ba\b", f"{slope:g}", formula)) for formula in _KINKED)
        for power in numbers.powers:
            yield from (_in(letter, formula) for formula in _powers(power))
        yield from (_in(letter, formula) for formula in _TRANSCENDENTAL)


def computed(formula: str, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A formula at every element."""
    return evaluated(formula, x=x, t=t).expand_as(x)


def evaluated(formula: str, **names: object) -> torch.Tensor:
    """What a formula of this catalogue gives."""
    found = eval(_compiled(formula), {"__builtins__": {}, **_NAMES}, names)
    return torch.as_tensor(found, dtype=torch.float64)


def owner(formula: str) -> str:
    """The function whose derivative a formula is; empty if none is known."""
    if formula in ("x", "t"):
        return ""
    return next((f.name for f in _KNOWN if formula in (f.derivative, *f.also)), "")


@cache
def _compiled(formula: str) -> CodeType:
    kinked = re.fullmatch(r"(.+) where (.+?)(?: and (.+) elsewhere)?", formula)
    text = "where({1}, 1.0 * ({0}), 1.0 * ({2}))".format(*kinked.groups()) if kinked else formula
    return compile(text, "<formula>", "eval")


def _in(letter: str, formula: str) -> str:
    """The letter u must not be taken out of a function's name."""
    return re.sub(r"\bu\b", letter, formula)


def _with_number(function: Callable[[torch.Tensor, float], torch.Tensor], number: float) -> Elementwise:
    return lambda x: function(x, number)


def _of(name: str, operation: Operation, *also: str) -> Function:
    function = getattr(torch, operation.name, None) or getattr(F, operation.name)
    derivative = ""
    if operation.vjp:
        without = operation.vjp.replace("torch.", "").replace("{g} * ", "").replace("{g} /", "1 /")
        derivative = ast.unparse(expression(without.format(x="x", y="t"))).replace(" ** ", "**")
    return Function(name, function, derivative, also)


_NAMES = {
    "where": lambda mask, a, b: torch.where(mask, *(torch.as_tensor(v, dtype=torch.float64) for v in (a, b))),
    **{operation.name: getattr(torch, operation.name) for operation in ops.COMMON_FUNCTIONS},
}
# In these, `u` is the argument or the result, and `a` a number of the program.
_POLYNOMIALS = (
    "1 - u**2", "1 - u", "1 + u", "u - 1", "1 + u**2", "u**2 - 1", "u * (1 - u)", "u * (1 + u)", "u * (u - 1)", "-u**3 / 2",
    "-u**2", "2 * sqrt(u)", "-2 * u**(3/2)", "(1 - u)**2", "1 - u**3", "(1 - u**2)**2", "u", "-u", "2 * u", "u**2", "u**3",
    "1 / u", "-1 / u", "1 / u**2", "-1 / u**2", "1 / (2 * u)", "u / 2", "1 / (1 + u)", "sqrt(u)", "u > 0", "u < 0",
    "u >= 0", "u > 1", "(u > 0) * u", "sign(u)",
)  # fmt: skip
_TRANSCENDENTAL = (
    "exp(u)", "exp(-u)", "-exp(u)", "log(u)", "sin(u)", "cos(u)", "-sin(u)", "-cos(u)", "tanh(u)", "sigmoid(u)",
)  # fmt: skip
_KINKED = (
    "1 where u > 0 and a elsewhere", "a where u > 0 and 1 elsewhere", "1 where u > 0 and -a elsewhere",
    "a where u > 0 and 0 elsewhere", "0 where u > 0 and a elsewhere", "1 where u > a and 0 elsewhere",
    "1 where u > 0 and a * u elsewhere",
)  # fmt: skip


def _powers(power: float) -> tuple[str, ...]:
    p, less = f"{power:g}", f"{power - 1:g}"
    return (
        f"{p} * u**{p}", f"{less} * u**{less}", f"{p} * u**{less}", f"{p} * u**{power + 1:g}", f"{p} * u**{power - 2:g}",
        f"u**{less}", f"{p} * u",
    )  # fmt: skip


_ROWS: list[list[str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))[
    "known"
]
_KNOWN = (
    *(_of(name, getattr(ops, operation), *also) for name, operation, *also in _ROWS),
    Function("gelu's tanh approximation", lambda x: F.gelu(x, approximate="tanh")),
    Function("the inverse square", lambda x: x**-2, "-2 / x**3", ("-2 * t**(3/2)",)),
)
