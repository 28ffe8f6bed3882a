"""`--loss EXPR`: a loss that the program never computes, in terms of what it does compute."""

import ast
import importlib
import math
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch

from gradcheck.fronts.insertion import insert, number_op
from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.judge.pairing.windows import Step, recorded_steps
from gradcheck.program.reading.tree import expression

_PATHS = (ast.Name, ast.Attribute, ast.Subscript)


@dataclass(frozen=True, slots=True)
class StatedLoss:
    """What the expression computes of tensors, in the place of its names."""

    text: str
    code: CodeType
    numbers: tuple[tuple[str, object], ...]  # names that hold plain numbers

    @property
    def __name__(self) -> str:
        return "stated_loss"

    def __call__(self, *tensors: torch.Tensor) -> torch.Tensor:
        arrays: Any = importlib.import_module("torch._numpy")  # NumPy's functions, of tensors
        of_numpy = "np" in self.code.co_names or "numpy" in self.code.co_names
        held: dict[str, Any] = {f"_{i}": arrays.asarray(t) if of_numpy else t for i, t in enumerate(tensors)}
        held |= dict(self.numbers) | {"np": arrays, "numpy": arrays, "torch": torch, "math": math}
        found = eval(self.code, {"__builtins__": {"abs": abs, "sum": sum, "len": len}}, held)
        made: torch.Tensor = getattr(found, "tensor", found)
        return made.sum()


def state_loss(recording: Recording, whole: Recording, text: str) -> bool:
    """Puts the number on the tape of `whole`, in each step; whether `text` is an expression of names that are known."""
    try:
        tree = expression(text)
    except SyntaxError:
        return False
    if isinstance(tree, _PATHS):
        return False  # a name
    steps = recorded_steps(recording) or [Step(0, len(recording.ops), 0)]
    added = [op for step in steps if (op := _in_step(recording, step, text)) is not None]
    insert(whole, added)
    return bool(added)


def _in_step(recording: Recording, step: Step, text: str) -> Op | None:
    known: dict[str, Value] = {}
    for binding in recording.bindings:
        if binding.when <= step.end:
            known[binding.name] = known[binding.variable] = binding.value
    plain = {b.name: b.value for b in recording.plain if b.when <= step.end and not b.identity}
    naming = _Naming(known)
    code = compile(
        ast.fix_missing_locations(naming.visit(ast.Expression(expression(text)))), "--loss", "eval"
    )
    makers = [value.producer for value in naming.used if value.producer is not None]
    last = max((op for op in makers if op.index >= step.begin), key=lambda op: op.index, default=None)
    if last is None:
        return None
    numbers = tuple((name, plain[name]) for name in code.co_names if name in plain)
    return number_op(last.index + 1, StatedLoss(text, code, numbers), tuple(naming.used), last)


class _Naming(ast.NodeTransformer):
    """Puts a name for each value in the place of what the person calls it."""

    def __init__(self, known: dict[str, Value]) -> None:
        self._known = known
        self.used: list[Value] = []

    def visit(self, node: ast.AST) -> Any:
        value = self._known.get(ast.unparse(node)) if isinstance(node, _PATHS) else None
        if value is None:
            return self.generic_visit(node)
        if value not in self.used:
            self.used.append(value)
        return ast.copy_location(ast.Name(f"_{self.used.index(value)}", ast.Load()), node)
