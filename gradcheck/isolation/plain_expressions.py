"""The person's own expressions over plain numbers, rewritten over variables of a replay."""

from __future__ import annotations

import ast
import builtins
import math
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

_BUILTINS = {
    name: getattr(builtins, name)
    for name in ("min", "max", "abs", "float", "int", "round", "pow", "bool", "divmod")
}
_MODULES = (math, np)
_PURE_STATEMENTS = (ast.Return, ast.If, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Pass)
_PURE_PARTS = (
    ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.BinOp, ast.UnaryOp, ast.BoolOp,
    ast.Compare, ast.IfExp, ast.Constant, ast.Name, ast.Call, ast.Attribute,
)  # fmt: skip


class UnknownError(Exception):
    """An expression that cannot be followed. `varies`: its value may change from step to step."""

    def __init__(self, varies: bool) -> None:
        super().__init__()
        self.varies = varies


class Rewriter:
    """`name` and `attribute` say what is to stand for a name or `self.t`: a new expression. Functions and other
    things that are no numbers come into `constants`, under names of their own."""

    def __init__(
        self,
        name: Callable[[str], ast.expr],
        attribute: Callable[[ast.Attribute], ast.expr],
        namespace: Mapping[str, Any],
        function_of: Callable[[FunctionType], ast.FunctionDef | ast.AsyncFunctionDef | None],
        constants: dict[str, Any],
    ) -> None:
        self._name = name
        self._attribute = attribute
        self._namespace = namespace
        self._function_of = function_of
        self._constants = constants

    def rewrite(self, node: ast.expr) -> ast.expr:
        again = self.rewrite
        if isinstance(node, ast.Constant):
            return node if isinstance(node.value, (int, float, bool, str)) else _unknown()
        if isinstance(node, ast.UnaryOp):
            return ast.UnaryOp(node.op, again(node.operand))
        if isinstance(node, ast.BinOp):
            return ast.BinOp(again(node.left), node.op, again(node.right))
        if isinstance(node, ast.BoolOp):
            return ast.BoolOp(node.op, [again(value) for value in node.values])
        if isinstance(node, ast.Compare):
            return ast.Compare(again(node.left), node.ops, [again(part) for part in node.comparators])
        if isinstance(node, ast.IfExp):
            return ast.IfExp(again(node.test), again(node.body), again(node.orelse))
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.Attribute):
            known = self._of_module(node)
            if known is None:
                return self._attribute(node)
            return ast.Constant(known) if isinstance(known, (int, float)) else _unknown()
        if isinstance(node, ast.Call) and not node.keywords:
            return ast.Call(self._function(node.func), [again(argument) for argument in node.args], [])
        return _unknown()

    def _function(self, node: ast.expr) -> ast.expr:
        found: Any = None
        if isinstance(node, ast.Name):
            found = self._namespace.get(node.id, _BUILTINS.get(node.id))
            if not (found in _BUILTINS.values() or _is_of_module(found) or self._is_pure(found)):
                found = None
        elif isinstance(node, ast.Attribute):
            found = self._of_module(node)
        if not callable(found):
            return _unknown()
        name = next(
            (name for name, known in self._constants.items() if known is found), f"f{len(self._constants)}"
        )
        self._constants[name] = found
        return ast.Name(name, ast.Load())

    def _of_module(self, node: ast.Attribute) -> Any:
        """`math.pi`, `np.cos`."""
        owner = self._namespace.get(node.value.id) if isinstance(node.value, ast.Name) else None
        return (
            getattr(owner, node.attr, None) if isinstance(owner, ModuleType) and owner in _MODULES else None
        )

    def _is_pure(self, thing: Any) -> bool:
        """Whether it is a function of the person's that computes a number of numbers, and does nothing else."""
        if not isinstance(thing, FunctionType) or thing.__closure__:
            return False
        node = self._function_of(thing)
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            return False
        local = set(thing.__code__.co_varnames)
        for statement in node.body:
            for part in ast.walk(statement):
                if isinstance(part, ast.Name) and part.id not in local:
                    known = thing.__globals__.get(part.id, _BUILTINS.get(part.id))
                    if not (
                        _is_number(known)
                        or known in _MODULES
                        or known in _BUILTINS.values()
                        or _is_of_module(known)
                    ):
                        return False
                elif isinstance(part, ast.Attribute):
                    if not (
                        isinstance(part.value, ast.Name) and thing.__globals__.get(part.value.id) in _MODULES
                    ):
                        return False
                elif not isinstance(part, (*_PURE_STATEMENTS, *_PURE_PARTS)):
                    return False
        return True


def source_of(node: ast.expr) -> str:
    return ast.unparse(ast.fix_missing_locations(ast.Expression(node)))


def _unknown() -> ast.expr:
    raise UnknownError(varies=False)


def _is_number(thing: Any) -> bool:
    return isinstance(thing, (int, float))


def _is_of_module(thing: Any) -> bool:
    """`from math import cos`."""
    name = getattr(thing, "__name__", "")
    return any(callable(thing) and getattr(module, name, None) is thing for module in _MODULES)
