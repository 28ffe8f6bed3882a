"""Evaluates edited expressions one after the other, and each unchanged part of them only once.

Edits of one expression share all nodes but the changed ones. What an unchanged node gave is remembered, so that an
edit costs the operations on the way from the change to the top, and no compilation.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import torch

from gradcheck.diagnosis.evaluation import (
    CannotEvaluateError,
    TensorOf,
    evaluating,
    on_tensors,
    rebuilt,
    values_in_structure,
    with_values,
)
from gradcheck.diagnosis.namespace import Ghost, Namespace, UnknownNameError
from gradcheck.fronts.tape import Value

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.MatMult: operator.matmul, ast.Pow: operator.pow, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert, ast.Not: operator.not_,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt, ast.Lt: operator.lt, ast.GtE: operator.ge, ast.LtE: operator.le, ast.Eq: operator.eq,
    ast.NotEq: operator.ne, ast.Is: operator.is_, ast.IsNot: operator.is_not,
}  # fmt: skip

_Result = tuple[Any, frozenset[Value]]


class NotInterpretedError(Exception):
    """A construct that is left to Python itself."""


def can_interpret(tree: ast.AST) -> bool:
    """Whether the expression is made of what is understood here, and changes nothing in place."""
    for node in ast.walk(tree):
        if isinstance(
            node, (ast.Lambda, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp, ast.NamedExpr)
        ):
            return False
        if isinstance(
            node, (ast.JoinedStr, ast.Await, ast.Yield, ast.YieldFrom, ast.BoolOp, ast.IfExp, ast.stmt)
        ):
            return False
        if isinstance(node, ast.Attribute) and node.attr.endswith("_") and not node.attr.endswith("__"):
            return False
    return isinstance(tree, ast.expr)


class Interpreter:
    """For one execution of one piece, on the tensors of one replay."""

    def __init__(
        self,
        original: ast.AST,
        namespace: Namespace,
        tensor_of: TensorOf,
        dtype: torch.dtype,
        resolved: dict[int, Any],
    ) -> None:
        self._original = {id(node) for node in ast.walk(original)}
        self._namespace = namespace
        self._tensor_of = tensor_of
        self._dtype = dtype
        self._resolved = resolved  # what names stand for, shared between the interpreters of one execution
        self._known: dict[int, _Result] = {}

    def result(self, tree: ast.expr) -> tuple[torch.Tensor, tuple[Value, ...]]:
        """The tensor the expression gives, and the values it reads. Raises CannotEvaluateError."""
        try:
            with evaluating(self._dtype):
                found, reads = self._evaluate(tree)
        except NotInterpretedError:
            raise
        except Exception as error:
            raise CannotEvaluateError(f"{type(error).__name__}: {error}") from error
        if not isinstance(found, torch.Tensor):
            raise CannotEvaluateError("it does not give a tensor")
        if found.is_floating_point() and found.dtype != self._dtype:
            found = found.to(self._dtype)
        return found, tuple(reads)

    def _evaluate(self, node: ast.expr) -> _Result:
        if id(node) not in self._original:
            return self._computed(node)
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = self._computed(node)
        return known

    def _computed(self, node: ast.expr) -> _Result:
        if isinstance(node, ast.Constant):
            return node.value, frozenset()
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            return self._path(node)
        if isinstance(node, ast.BinOp):
            left, right = self._evaluate(node.left), self._evaluate(node.right)
            return _BINARY[type(node.op)](left[0], right[0]), left[1] | right[1]
        if isinstance(node, ast.UnaryOp):
            operand = self._evaluate(node.operand)
            return _UNARY[type(node.op)](operand[0]), operand[1]
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
            left, right = self._evaluate(node.left), self._evaluate(node.comparators[0])
            return _COMPARE[type(node.ops[0])](left[0], right[0]), left[1] | right[1]
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, (ast.Tuple, ast.List)):
            items = [self._evaluate(item) for item in node.elts]
            kind = tuple if isinstance(node, ast.Tuple) else list
            return kind(item[0] for item in items), frozenset().union(*(item[1] for item in items))
        if isinstance(node, ast.Slice):
            parts = [
                self._evaluate(p) if p is not None else (None, frozenset())
                for p in (node.lower, node.upper, node.step)
            ]
            return slice(*(p[0] for p in parts)), frozenset().union(*(p[1] for p in parts))
        raise NotInterpretedError(type(node).__name__)

    def _call(self, node: ast.Call) -> _Result:
        function, reads = self._evaluate(node.func)
        arguments: list[Any] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                found, more = self._evaluate(argument.value)
                arguments += list(found)
            else:
                found, more = self._evaluate(argument)
                arguments.append(found)
            reads |= more
        keywords = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise NotInterpretedError("**")
            keywords[keyword.arg], more = self._evaluate(keyword.value)
            reads |= more
        return function(*arguments, **keywords), reads

    def _path(self, node: ast.Name | ast.Attribute | ast.Subscript) -> _Result:
        found = self._held(node)
        if isinstance(found, UnknownNameError):
            if isinstance(node, ast.Name):
                raise found
            base, reads = self._evaluate(node.value)
            if isinstance(node, ast.Attribute):
                return getattr(base, node.attr), reads
            key, more = self._evaluate(node.slice)
            return base[key], reads | more
        if isinstance(found, Value):
            return self._tensor_of(found), frozenset({found})
        if isinstance(found, Ghost):
            raise UnknownNameError(ast.unparse(node))
        if type(found) in (list, tuple, dict):
            structure = with_values(found, self._namespace, node)
            return rebuilt(structure, self._tensor_of), frozenset(values_in_structure(structure))
        return on_tensors(found), frozenset()

    def _held(self, node: ast.expr) -> Any:
        known = self._resolved.get(id(node))
        if known is None:
            try:
                known = (node, self._namespace.resolve(node))
            except UnknownNameError as error:
                known = (node, error)
            self._resolved[id(node)] = known  # holds the node, so that its identity stays its own
        return known[1]
