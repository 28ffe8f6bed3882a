"""The lines of a training step, read again over plain numbers: what is computed of tensors is unknown.

Nothing of the person's runs, and nothing that they hold is changed: attributes and items that the lines set are kept here.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from collections import defaultdict
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from gradcheck.diagnosis.sandbox import is_pure
from gradcheck.graph.library import is_of_library
from gradcheck.isolation.plain_loop import NUMBERS, RecordedLoop
from gradcheck.program.reading.names import names_read, names_written
from gradcheck.program.reading.reader import Closure, Reader, UnknownNameError, UnreadableError

_STILL = (
    *NUMBERS, str, tuple, dict, ModuleType, FunctionType, BuiltinFunctionType, np.ufunc, type,
    type(None),
)  # fmt: skip
_CONTAINERS = (list, tuple, dict)
_RAISED = (
    UnknownNameError, UnreadableError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip
State = dict[Any, Any]  # by the name; by object and attribute, or container and key


class Unknown:
    """What is not followed; with `varies` it may be another number in the next step, and is no size of a tensor."""

    def __init__(self, varies: bool) -> None:
        self.varies = varies

    def _with(self, *others: object) -> Unknown:
        return VARIES if self.varies or any(isinstance(o, Unknown) and o.varies for o in others) else STILL

    def __bool__(self) -> bool:
        raise UnreadableError("a branch that depends on tensors")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = __rmatmul__ = _with
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = (
        _with
    )
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __invert__ = __neg__ = __pos__ = _with
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _with  # type: ignore[assignment]
    __hash__ = object.__hash__


VARIES, STILL = Unknown(True), Unknown(False)


class _LeftError(Exception):
    """A loop was left by `break`, or its turn by `continue`."""


class StepReader(Reader):
    """`trace` holds what the `wanted` expressions gave in the step that was read last, one value for each time."""

    def __init__(self, loop: RecordedLoop) -> None:
        super().__init__()
        self._loop = loop
        self.wanted: set[ast.AST] = set()
        self.trace: dict[ast.AST, list[Any]] = {}
        self.branches = False  # something depends on a condition
        self.contrary: set[Any] = set()  # conditions that read one of these names are taken for the contrary
        self._held: State = {}
        self._live: State = {}  # what there was before anything was set here
        self._lost: set[str] = set()  # attributes that may have been set
        # Statements that give nothing but what is unknown, to these names.
        self._idle: dict[ast.stmt, set[str]] = {}
        self._gives = False
        self._depth = 0  # loops around what is read
        self._sizes: dict[ast.AST, bool] = {}

    def step(self, state: State) -> State:
        """Reads the body of the loop once; what its names, attributes and items hold afterwards."""
        self._turns = self._depth = 0
        self.trace = defaultdict(list)
        self.locals = self._names = {key: value for key, value in state.items() if isinstance(key, str)}
        self._held = {key: value for key, value in state.items() if not isinstance(key, str)}
        with suppress(_LeftError):  # the turn ends there
            self.run(self._loop.node.body)
        return self._names | self._held

    def read_with(self, names: State, node: ast.expr) -> Any:
        self.locals = self._names = dict(names)
        return self.read(node)

    def live(self, key: tuple[int, Any]) -> Any:
        """What an attribute or an item holds that the lines set, as it is now."""
        return self._live.get(key, VARIES)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, node: ast.expr) -> Any:
        try:
            value = super().read(node)
        except _RAISED:
            value = VARIES
        if isinstance(value, Unknown) and value.varies and self._is_size(node):
            value = STILL
        if node in self.wanted:
            self._gives = True
            self.trace[node].append(value)
        return value

    def _is_size(self, node: ast.expr) -> bool:
        if node not in self._sizes:
            self._sizes[node] = not names_read(node, self._loop.tensors)
        return self._sizes[node]

    def is_operand(self, value: Any) -> bool:
        return isinstance(value, Unknown) or super().is_operand(value)

    def _over(self, iterable: Any) -> Any:
        """Of what is unknown one item, which is unknown."""
        return [iterable] if isinstance(iterable, Unknown) else super()._over(iterable)

    def assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(value, Unknown) and isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self.assign(part, value)
            return
        self._gives |= not isinstance(value, Unknown)
        super().assign(target, value)

    def _run(self, node: ast.stmt) -> None:
        if node in self._idle:
            self.locals.update(dict.fromkeys(self._idle[node], VARIES))
            return
        before, self._gives = self._gives, False
        try:
            if isinstance(node, (ast.With, ast.Try)):
                self.run(node.body)
            elif isinstance(node, (ast.Break, ast.Continue)):
                raise _LeftError
            elif isinstance(node, ast.If):
                self.branches |= self._matters(node)
                named = {getattr(n, "id", None) or getattr(n, "attr", None) for n in ast.walk(node.test)}
                taken = bool(self.operand(node.test)) == self.contrary.isdisjoint(named)
                self.run(node.body if taken else node.orelse)
            elif isinstance(node, ast.For):
                self._for(node)
            else:
                super()._run(node)
        except _LeftError:
            if not isinstance(node, ast.For):
                raise
            self._lose(node)
        except _RAISED:
            if isinstance(node, ast.For) and self._depth:
                raise
            self._lose(node)
        finally:
            if not self._gives and isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr, ast.For)):
                self._idle[node] = names_written(node)
            self._gives |= before

    def _for(self, node: ast.For) -> None:
        """If it cannot be followed, nor can a loop around it."""
        if node.orelse:
            raise UnreadableError("an `else` of a loop")
        gives, self._depth = False, self._depth + 1
        try:
            for item in self._over(self.read(node.iter)):
                self.assign(node.target, item)
                self._gives = False  # what its variable counts gives nothing yet
                self.run(node.body)
                gives |= self._gives
        finally:
            self._depth -= 1
        self._gives = gives

    def _matters(self, node: ast.stmt) -> bool:
        return any(
            part in self.wanted or isinstance(getattr(part, "ctx", None), ast.Store)
            for part in ast.walk(node)
        )

    def _lose(self, node: ast.stmt) -> None:
        """It is not known what it sets, or whether it does."""
        if isinstance(node, ast.For):
            self._turns, self._gives = 0, False  # a loop that is too long takes nothing from the next
        self.locals.update(dict.fromkeys(names_written(node), VARIES))
        for part in ast.walk(node):
            self.trace.pop(part, None)
            if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
                self._lost.add(part.attr)

    # -- names, attributes, items ----------------------------------------------------------------------------------

    def name(self, name: str) -> Any:
        if self.following:
            around = self.following[-1].__globals__
            if around is self._loop.namespace and name in self._names:
                return self._names[name]  # a global name, which the loop may set
            return self._known(self.name_around(name))
        if name in self._loop.tensors:
            return VARIES
        bound = self._loop.bound.get(name)
        if bound is not None and type(bound.value) in NUMBERS:
            return bound.value
        if bound is not None and bound.reference is not None:
            return self._known(bound.reference())
        return self._known(self._loop.namespace.get(name, getattr(builtins, name, VARIES)))

    def attribute(self, base: Any, name: str) -> Any:
        if isinstance(base, Unknown) or name in self._lost:
            return VARIES
        if (id(base), name) in self._held:
            return self._held[id(base), name]
        found = getattr(base, "__dict__", {}).get(name, VARIES)
        if found is VARIES and not isinstance(base, ModuleType):
            found = inspect.getattr_static(type(base), name, VARIES)
            found = MethodType(found, base) if isinstance(found, FunctionType) else found
        return found if isinstance(found, MethodType) else self._known(found)

    def item(self, base: Any, key: Any) -> Any:
        if type(base) not in _CONTAINERS or isinstance(key, Unknown):
            return VARIES
        return self._held[id(base), key] if (id(base), key) in self._held else self._known(base[key])

    def set_attribute(self, base: Any, name: str, value: Any) -> None:
        if (id(base), name) not in self._held:
            self._live.setdefault((id(base), name), self.attribute(base, name))
        self._held[id(base), name] = value

    def set_item(self, base: Any, key: Any, value: Any) -> None:
        if type(base) in _CONTAINERS:
            if (id(base), key) not in self._held:
                self._live.setdefault((id(base), key), self._known(base[key]))
            self._held[id(base), key] = value

    def _known(self, value: Any) -> Any:
        """Numbers, and what leads to them: objects of the person's own classes. A list may grow from step to step."""
        followed = isinstance(value, (*_STILL, Unknown)) or not is_of_library(type(value))
        return value if followed else VARIES

    def call(self, function: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if isinstance(function, Unknown):
            return function
        if isinstance(function, MethodType):
            function, arguments = function.__func__, [function.__self__, *arguments]
        node = self._loop.function(function.__code__) if isinstance(function, FunctionType) else None
        if node is not None or isinstance(function, Closure):
            self._gives = True
            if node is None:
                return function(*arguments, **keywords)
            return VARIES if node.decorator_list else self.call_of(function, node, arguments, keywords)
        if _is_foreign([*arguments, *keywords.values()]) or not (
            is_of_library(function) and is_pure(function)
        ):
            return VARIES
        value = function(*arguments, **keywords)
        return value.item() if isinstance(value, np.generic) else value


def _is_foreign(given: Any) -> bool:
    """Whether a function of a library that is given it may run code of the person's, or meets what is unknown."""
    if type(given) in (list, tuple):
        return any(map(_is_foreign, given))
    return isinstance(given, Unknown) or not is_of_library(type(given))
