"""Evaluates a piece of source, as it is or edited, on the tensors of a replay.

The syntax is read, and only operations of torch, NumPy and Python are called; functions of the person's are followed
by their source. So nothing that the person would notice happens a second time.
"""

import ast
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from gradcheck.diagnosis.namespace import Namespace
from gradcheck.diagnosis.sandbox import is_pure, refuse_huge
from gradcheck.fronts import arrays
from gradcheck.fronts.numpy.registry import Row, methods, row_of
from gradcheck.fronts.tape import NESTED, Value, rebuilt, values_in
from gradcheck.fronts.torch.ufuncs import as_tensor, torch_equivalent
from gradcheck.graph.library import is_of_library
from gradcheck.graph.lower import call_in_precision
from gradcheck.graph.precision import default_dtype, in_precision
from gradcheck.program.reading.reader import Closure, Reader, UnknownNameError, UnreadableError
from gradcheck.replay.variation import Variation

Tree = ast.expr | ast.stmt | ast.Module  # a module: statements in the place of one
TensorOf = Callable[[Value], torch.Tensor]
_PATHS = (ast.Name, ast.Attribute, ast.Subscript)


class CannotEvaluateError(Exception):
    """The piece of source does not run on what is known of its names, or not to a tensor."""


class Evaluable:
    """A piece of source in one execution. `reads` are the recorded values that it reads."""

    def __init__(self, tree: Tree, names: Namespace) -> None:
        """Raises CannotEvaluateError where something it reads is unknown."""
        self._tree = tree
        self._names = names
        try:
            self.reads = tuple(dict.fromkeys(_reads(tree, names, set())))
        except UnknownNameError as error:
            raise CannotEvaluateError(f"nothing is known of `{error}`") from error

    def result(
        self, tensor_of: TensorOf, dtype: torch.dtype, variation: Variation | None = None
    ) -> torch.Tensor:
        """What the expression gives."""
        return Evaluation(self._names, tensor_of, dtype, variation=variation).result(self._tree)

    def run(
        self, tensor_of: TensorOf, dtype: torch.dtype, variation: Variation | None = None
    ) -> dict[Value, Any]:
        """What the statements bind in the place of recorded values."""
        return Evaluation(self._names, tensor_of, dtype, variation=variation).bound_by(self._tree)


def _reads(tree: ast.AST, names: Namespace, own: set[str]) -> Iterator[Value]:
    """`own` are the names that are bound inside the tree."""
    if isinstance(tree, (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)):
        own |= {n.id for g in tree.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
    elif isinstance(tree, ast.Lambda):
        own |= {argument.arg for argument in tree.args.args}
    if isinstance(tree, _PATHS) and not (isinstance(tree, ast.Name) and tree.id in own):
        try:
            yield from values_in(names.contents(tree))
            return
        except UnknownNameError:
            if isinstance(tree, ast.Name) and isinstance(tree.ctx, ast.Load):
                raise
            # Computed from a tensor, then: what it is computed from is a name, or the next is.
            if isinstance(tree, ast.Name):
                own.add(tree.id)
    for child in ast.iter_child_nodes(tree):
        yield from _reads(child, names, own)


class Evaluation(Reader):
    """Of one execution, on the tensors of one replay. Edits of one piece share all nodes but the changed ones: what
    the nodes of `original` gave is remembered."""

    def __init__(
        self,
        names: Namespace,
        tensor_of: TensorOf,
        dtype: torch.dtype,
        original: ast.AST | None = None,
        variation: Variation | None = None,
    ) -> None:
        super().__init__()
        self._variation = variation
        self._names = names
        self._tensor_of = tensor_of
        self._dtype = dtype
        self._original = {id(node) for node in ast.walk(original)} if original is not None else set()
        self._known: dict[int, Any] = {}
        self._bound: dict[Value, Any] = {}
        self._shared: list[Any] = []  # containers made after the person's: a change of them would be lost

    def result(self, tree: Tree) -> torch.Tensor:
        """The tensor that the expression gives. Raises CannotEvaluateError."""
        assert isinstance(tree, ast.expr)
        with self._evaluating():
            found = self.read(tree)
        if not isinstance(found, torch.Tensor):
            raise CannotEvaluateError("it does not give a tensor")
        return found.to(self._dtype) if found.is_floating_point() and found.dtype != self._dtype else found

    def bound_by(self, tree: Tree) -> dict[Value, Any]:
        """What the statements bind in the place of recorded values. Raises CannotEvaluateError."""
        assert isinstance(tree, (ast.stmt, ast.Module))
        with self._evaluating():
            self.run(tree.body if isinstance(tree, ast.Module) else [tree])
        return self._bound

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        try:
            with default_dtype(self._dtype), InPrecision(self._dtype):
                yield
        except Exception as error:
            raise CannotEvaluateError(f"{type(error).__name__}: {error}") from error

    # -- what names hold -------------------------------------------------------------------------------------------

    def read(self, node: ast.expr) -> Any:
        if id(node) in self._original and not self.locals and not self.following:
            if id(node) not in self._known:
                self._known[id(node)] = self._read(node)
            return self._known[id(node)]
        return self._read(node)

    def _read(self, node: ast.expr) -> Any:
        if isinstance(node, _PATHS) and not self.following:
            if isinstance(node, ast.Name) and node.id in self.locals:
                return self.locals[node.id]
            try:
                held = self._names.contents(node)
            except UnknownNameError:
                if isinstance(node, ast.Name):
                    raise
            else:
                return self._in_replay(held)
        return super().read(node)

    def _in_replay(self, held: Any) -> Any:
        """What was recorded, as it is now."""
        if isinstance(held, Value):
            return self._bound[held] if held in self._bound else self._tensor_of(held)
        if type(held) in NESTED:
            held = self._with_tensors(held)
            self._shared.append(held)
        if self._variation is not None:
            held = self._variation.number(held)
        return _on_tensors(held)

    def _with_tensors(self, held: Any) -> Any:
        return self._tensor_of(held) if isinstance(held, Value) else rebuilt(held, self._with_tensors)

    def constant(self, node: ast.Constant) -> Any:
        if self._variation is None or not self._variation.literals or self.following:
            return node.value
        return self._variation.number(node.value)

    def name(self, name: str) -> Any:
        return self._in_replay(self._names.as_recorded(self.name_around(name), name))

    def attribute(self, base: Any, name: str) -> Any:
        """Never a property of the person's."""
        if not is_of_library(base):
            return self._in_replay(self._names.as_recorded(self._names.attribute(base, name), name))
        if isinstance(base, torch.Tensor) and arrays.are_of_numpy():  # it stands for an array
            if name in methods:
                return partial(_as_torch, methods[name], None, base)
            if name == "size":
                return base.numel()
            if not hasattr(np.ndarray, name):
                raise UnreadableError(f"`{name}`, which no array has")
        held = getattr(base, name)
        if isinstance(held, torch.nn.Parameter):
            return self._in_replay(self._names.as_recorded(held, name))
        return _on_tensors(held)

    def item(self, base: Any, key: Any) -> Any:
        return base[key] if is_of_library(base) else super().item(base, key)

    def is_operand(self, value: Any) -> bool:
        return is_of_library(value)

    # -- what is changed -------------------------------------------------------------------------------------------

    def assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, _PATHS) and not self.following:
            held = self._names.known_as(target)
            if isinstance(held, Value) and not (isinstance(target, ast.Name) and target.id in self.locals):
                if value is not self.read(target):
                    self._bound[held] = value
                return
        super().assign(target, value)

    def set_item(self, base: Any, key: Any, value: Any) -> None:
        if type(base) not in (torch.Tensor, list, dict) or any(base is shared for shared in self._shared):
            raise UnreadableError("a change of something of the person's")
        base[key] = value

    def set_attribute(self, base: Any, name: str, value: Any) -> None:
        if not isinstance(base, torch.Tensor) or name not in ("data", "grad"):
            raise UnreadableError("a change of something of the person's")
        setattr(base, name, value)

    # -- calls -----------------------------------------------------------------------------------------------------

    def call(self, function: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if isinstance(function, Closure):
            return function(*arguments, **keywords)
        if not is_of_library(function):
            return self._followed(function, arguments, keywords)
        owner = getattr(function, "__self__", None)
        if not is_pure(function) or any(owner is shared for shared in self._shared):
            raise UnreadableError(f"a call of `{getattr(function, '__name__', function)}`")
        if not all(map(is_of_library, (*arguments, *keywords.values()))):
            raise UnreadableError("a call with an object of the person's")
        return function(*arguments, **keywords)

    def _followed(self, function: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        if isinstance(function, MethodType):
            function, arguments = function.__func__, [function.__self__, *arguments]
        elif not isinstance(function, (FunctionType, type)):  # an object that can be called
            arguments = [function, *arguments]
            name = "forward" if isinstance(function, torch.nn.Module) else "__call__"
            function = getattr(type(function), name, None)
        node = self._names.definition(function)
        if node is None:
            raise UnreadableError(f"a call of `{getattr(function, '__name__', function)}`")
        return self.call_of(function, node, arguments, keywords)


def _on_tensors(thing: Any) -> Any:
    """A NumPy function as the torch function that computes it: it can be differentiated and keeps the precision."""
    row = row_of(thing) if arrays.FOREIGN and isinstance(thing, Hashable) else None
    if row is not None:
        return partial(_as_torch, row, thing)
    function = torch_equivalent(thing) if isinstance(thing, np.ufunc) else None
    if function is None:
        return thing

    def call(*arguments: Any) -> Any:
        tensors = [as_tensor(x) for x in arguments]
        if any(isinstance(x, torch.Tensor) for x in tensors):
            tensors = [x if isinstance(x, torch.Tensor) else torch.as_tensor(x) for x in tensors]
            return function(*tensors)
        return thing(*arguments)

    return call


def _as_torch(row: Row, function: Any, *arguments: Any, **named: Any) -> Any:
    """What a NumPy call gives, by its row in the table; `function` is called as it is where no tensor is among them."""
    if function is not None and not any(isinstance(x, torch.Tensor) for x in tree_leaves((arguments, named))):
        return function(*arguments, **named)
    same = row(*arguments, **named)
    if same is None:
        raise UnreadableError("a NumPy call that has no counterpart in torch")
    call, given, more = same
    return call(*given, **more)


class InPrecision(TorchFunctionMode):
    """Casts to another floating dtype and moves to a device leave tensors as they are; what is huge is refused."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        args = tuple(in_precision(a, self._dtype) for a in args)
        kwargs = {name: in_precision(a, self._dtype) for name, a in (kwargs or {}).items()}
        refuse_huge(func, args)
        return call_in_precision(func, args, kwargs, self._dtype)
