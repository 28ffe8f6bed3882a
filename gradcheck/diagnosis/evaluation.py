"""Evaluates a piece of source, as it stands or edited, on the tensors of a replay."""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from gradcheck.diagnosis.namespace import Ghost, Namespace, UnknownNameError
from gradcheck.diagnosis.sandbox import EDITED, computing_only, refuse_huge
from gradcheck.fronts.tape import Value
from gradcheck.fronts.torch.ufuncs import as_tensor, torch_equivalent
from gradcheck.program.loops import DONE, FOR, TURN, WHILE
from gradcheck.replay.engine import call_in_precision, default_dtype, in_precision

Tree = ast.expr | ast.stmt | ast.Module  # a module: statements in the place of one
TensorOf = Callable[[Value], torch.Tensor]
RESULT = "_result_"


class CannotEvaluateError(Exception):
    """The piece of source does not run on what is known of its names, or not to a tensor."""


@dataclass(slots=True)
class Evaluable:
    """Compiled source whose names have been resolved: ours stand in it for recorded values and for objects."""

    code: CodeType
    values: dict[str, Value] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)
    structures: dict[str, Any] = field(default_factory=dict)  # lists and tuples that hold tensors

    @property
    def reads(self) -> tuple[Value, ...]:
        held = [v for thing in self.structures.values() for v in values_in_structure(thing)]
        return (*self.values.values(), *held)

    def run(self, tensor_of: TensorOf, dtype: torch.dtype) -> dict[str, Any]:
        """The names after the code has run; what an expression gave is under RESULT. Raises CannotEvaluateError."""
        names: dict[str, Any] = {"__builtins__": builtins, **self.objects}
        try:
            for name, value in self.values.items():
                names[name] = tensor_of(value)
            for name, thing in self.structures.items():
                names[name] = rebuilt(thing, tensor_of)
            with evaluating(dtype):
                exec(self.code, names)
        except Exception as error:
            raise CannotEvaluateError(f"{type(error).__name__}: {error}") from error
        return names

    def result(self, tensor_of: TensorOf, dtype: torch.dtype) -> torch.Tensor:
        found = self.run(tensor_of, dtype).get(RESULT)
        if not isinstance(found, torch.Tensor):
            raise CannotEvaluateError("it does not give a tensor")
        return found.to(dtype) if found.is_floating_point() and found.dtype != dtype else found


def prepare(tree: Tree, namespace: Namespace, cache: dict[int, Any] | None = None) -> Evaluable:
    """Resolves the names in `tree` and compiles it. Raises UnknownNameError, or CannotEvaluateError where Python
    refuses it. `cache` remembers what a node resolved to, for trees that share nodes."""
    resolver = _Resolver(namespace, cache)
    body: list[ast.stmt]
    try:
        resolved = resolver.visit(tree)
        if isinstance(resolved, ast.Module):
            body = resolved.body
        elif isinstance(resolved, ast.expr):
            body = [ast.Assign([ast.Name(RESULT, ast.Store())], resolved)]
        else:
            body = [resolved]
        module = ast.fix_missing_locations(ast.Module(body, []))
        code = compile(module, EDITED, "exec")
    except (SyntaxError, ValueError, TypeError, RecursionError) as error:
        raise CannotEvaluateError(str(error)) from error
    return Evaluable(code, resolver.values, resolver.objects, resolver.structures)


class _Resolver(ast.NodeTransformer):
    """Puts a name of our own in place of every name, attribute or item that stands for a recorded value or an
    object. The tree given is left alone."""

    def __init__(self, namespace: Namespace, cache: dict[int, Any] | None) -> None:
        self._namespace = namespace
        self._cache = cache if cache is not None else {}
        self._own: set[str] = set()  # bound inside the tree
        self.values: dict[str, Value] = {}
        self.objects: dict[str, Any] = {}
        self.structures: dict[str, Any] = {}

    def generic_visit(self, node: ast.AST) -> ast.AST:
        copied = type(node)()
        for name, old in ast.iter_fields(node):
            if isinstance(old, ast.AST):
                setattr(copied, name, self.visit(old))
            elif isinstance(old, list):
                setattr(copied, name, [self.visit(x) if isinstance(x, ast.AST) else x for x in old])
            else:
                setattr(copied, name, old)
        return copied

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self._own:
            return node
        if isinstance(node.ctx, ast.Store):
            try:
                return self._put(self._resolved(ast.Name(node.id, ast.Load())), node.ctx, node)
            except UnknownNameError:
                self._own.add(node.id)
                return node
        return self._put(self._resolved(node), node.ctx, node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return self._path(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        return self._path(node)

    def _path(self, node: ast.Attribute | ast.Subscript) -> ast.AST:
        loaded = node
        if not isinstance(node.ctx, ast.Load):
            loaded = copy.copy(node)
            loaded.ctx = ast.Load()
        try:
            return self._put(self._resolved(loaded), node.ctx, node)
        except UnknownNameError:
            pass  # computed from a tensor, then: what it is computed from is a name, or the next is
        return self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        return self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self._comprehension(node)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> ast.AST:
        for generator in node.generators:
            self._own.update(n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name))
        return self.generic_visit(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._own.update(argument.arg for argument in node.args.args)
        return self.generic_visit(node)

    def _resolved(self, node: ast.expr) -> Any:
        known = self._cache.get(id(node))
        if known is None:
            try:
                known = (node, self._namespace.resolve(node))
            except UnknownNameError as error:
                known = (node, error)
            self._cache[id(node)] = known  # holds the node, so that its identity stays its own
        if isinstance(known[1], UnknownNameError):
            raise known[1]
        return known[1]

    def _put(self, found: Any, ctx: ast.expr_context, node: ast.expr) -> ast.AST:
        if isinstance(found, Value):
            name = f"_v{len(self.values)}_"
            for known, value in self.values.items():
                if value is found:
                    name = known
            self.values[name] = found
        elif isinstance(found, Ghost):
            raise UnknownNameError(ast.unparse(node))
        elif type(found) in (list, tuple, dict):
            name = f"_s{len(self.structures)}_"
            self.structures[name] = with_values(found, self._namespace, node)
        else:
            name = f"_o{len(self.objects)}_"
            self.objects[name] = on_tensors(found)
        return ast.Name(name, ctx)


def with_values(thing: Any, namespace: Namespace, node: ast.expr) -> Any:
    """A container with recorded values in place of its tensors."""
    if isinstance(thing, torch.Tensor):
        return namespace.known(thing, ast.unparse(node))
    if type(thing) in (list, tuple):
        return type(thing)(with_values(item, namespace, node) for item in thing[:400])
    if type(thing) is dict:
        return {key: with_values(item, namespace, node) for key, item in thing.items()}
    return thing


def rebuilt(thing: Any, tensor_of: TensorOf) -> Any:
    if isinstance(thing, Value):
        return tensor_of(thing)
    if type(thing) in (list, tuple):
        return type(thing)(rebuilt(item, tensor_of) for item in thing)
    if type(thing) is dict:
        return {key: rebuilt(item, tensor_of) for key, item in thing.items()}
    return thing


def values_in_structure(thing: Any) -> Iterator[Value]:
    if isinstance(thing, Value):
        yield thing
    elif type(thing) in (list, tuple):
        for item in thing:
            yield from values_in_structure(item)
    elif type(thing) is dict:
        for item in thing.values():
            yield from values_in_structure(item)


def on_tensors(thing: Any) -> Any:
    """A NumPy ufunc as the torch function that computes it: it can be differentiated and keeps the precision."""
    if not isinstance(thing, np.ufunc):
        return thing
    function = torch_equivalent(thing)
    if function is None:
        return thing

    def call(*arguments: Any) -> Any:
        tensors = [as_tensor(x) for x in arguments]
        if any(isinstance(x, torch.Tensor) for x in tensors):
            tensors = [x if isinstance(x, torch.Tensor) else torch.as_tensor(x) for x in tensors]
            return function(*tensors)
        return thing(*arguments)

    return call


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


@contextmanager
def evaluating(dtype: torch.dtype) -> Iterator[None]:
    """The conditions under which edits are evaluated: in the precision of the replay, and nothing but computing."""
    with loops_run(), default_dtype(dtype), InPrecision(dtype), computing_only():
        yield


@contextmanager
def loops_run() -> Iterator[None]:
    """Functions of the person's were compiled with watched loops: let these run unwatched."""
    before = {name: getattr(builtins, name, None) for name in (FOR, WHILE, TURN, DONE)}
    setattr(builtins, FOR, lambda loop, iterable: iterable)
    setattr(builtins, WHILE, lambda loop: _Unwatched())
    setattr(builtins, TURN, lambda loop: True)
    setattr(builtins, DONE, lambda loop: False)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                delattr(builtins, name)
            else:
                setattr(builtins, name, old)


class _Unwatched:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        pass
