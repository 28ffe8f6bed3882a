"""What the names in a piece of the person's source stood for when it ran: recorded values, numbers, objects."""

import ast
import builtins
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch

from gradcheck.fronts import arrays
from gradcheck.fronts.gradient_names import split_path
from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.fronts.targets import MISSING, read_attribute
from gradcheck.program.reading.reader import Reader, UnknownNameError, UnreadableError
from gradcheck.program.reading.tree import Function, expression
from gradcheck.program.source import SourceMap


@dataclass(frozen=True, slots=True)
class Ghost:
    """An object of which only the identity is known: enough to find the tensors it held."""

    identity: int


_MOST_ITEMS = 400


class BindingIndex:
    """All bindings of a recording, ready to be asked what a name held at a moment (a number of ops on the tape)."""

    def __init__(self, recording: Recording, sources: SourceMap) -> None:
        self.recording = recording
        self._sources = sources
        self._by_name: dict[tuple[int, str], list[tuple[int, Any]]] = defaultdict(list)
        self._by_owner: dict[tuple[int | Value, str], list[tuple[int, Value]]] = defaultdict(list)
        self._names: dict[int, set[str]] = defaultdict(set)
        # `.W`, `['W1']`, by what they belong to
        self._parts: dict[int | Value, set[str]] = defaultdict(set)
        self._modules: dict[int, list[int]] = defaultdict(list)  # scopes of module level, by their namespace
        for number, scope in recording.scopes.items():
            if scope.is_module:
                self._modules[id(scope.namespace)].append(number)
        for binding in recording.bindings:
            self._by_name[binding.scope, binding.name].append((binding.when, binding.value))
            self._names[binding.scope].add(binding.name)
            if binding.owner:
                last = binding.name[len(split_path(binding.name)[0]) :]
                for owner in (binding.owner, binding.of):  # `x.g = ...` is set on a tensor
                    if owner is not None:
                        # `W` of `.W`, `'W1'` of `['W1']`
                        key = last[1:] if last.startswith(".") else last[1:-1]
                        self._by_owner[owner, key].append((binding.when, binding.value))
                        self._parts[owner].add(last)
        for plain in recording.plain:
            held: Any = plain.value
            if plain.identity:
                alive = plain.reference() if plain.reference is not None else None
                held = alive if alive is not None else Ghost(plain.identity)
            self._by_name[plain.scope, plain.name].append((plain.when, held))
            for name, value in plain.attributes.items():
                self._by_owner[plain.identity, name].append((plain.when, value))
                self._parts[plain.identity].add(f".{name}")
            self._names[plain.scope].add(plain.name)
        for entries in (*self._by_name.values(), *self._by_owner.values()):
            entries.sort(key=lambda entry: entry[0])

    def held(self, scope: int, name: str, when: int) -> tuple[int, Any] | None:
        """(since when, what) the name held in the scope."""
        return _latest(self._by_name.get((scope, name)), when)

    def item(self, owner: Any, key: str, when: int) -> Value | None:
        """What an attribute or item of a tensor or an object held."""
        found = _latest(self._by_owner.get((_owner(owner), key)), when)
        return found[1] if found is not None else None

    def parts(self, owner: Any) -> set[str]:
        return self._parts.get(_owner(owner), set())

    def names(self, scope: int) -> set[str]:
        return self._names.get(scope, set())

    def definition(self, function: object) -> Function | None:
        """The source of a function of the person's; the one inside a decorator of a library, such as `torch.no_grad`."""
        while isinstance(function, FunctionType):
            unit = self._sources.unit(function.__code__.co_filename)
            if unit is not None:
                return unit.tree.function(function.__code__.co_name, function.__code__.co_firstlineno)
            function = getattr(function, "__wrapped__", None)
        return None

    def module_scopes(self, namespace: dict[str, Any]) -> list[int]:
        return [0, *self._modules.get(id(namespace), ())]


class Namespace(Reader):
    """The names one execution of a statement saw, `when` it began. What they held is a `Value`, a `Ghost`, or a plain
    object."""

    def __init__(self, index: BindingIndex, op: Op, when: int) -> None:
        super().__init__()
        self._index = index
        self._code = op.code
        self._number = op.scope
        self._scope = index.recording.scopes.get(op.scope)
        self.when = when
        # By the identity of nodes, which are held so that it stays their own.
        self._resolved: dict[int, tuple[ast.expr, Any]] = {}
        self._contents: dict[int, tuple[ast.expr, Any]] = {}

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters of the function the statement is in."""
        code = self._code
        return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    def resolve(self, node: ast.expr) -> Any:
        """What a name, an attribute or an item held. Raises UnknownNameError."""
        known = self._resolved.get(id(node))
        if known is None:
            known = self._resolved[id(node)] = node, self._held(node)
        if isinstance(known[1], UnknownNameError):
            raise known[1]
        return known[1]

    def contents(self, node: ast.expr) -> Any:
        """The same; in a container, recorded values are in the place of tensors."""
        known = self._contents.get(id(node))
        if known is None:
            known = self._contents[id(node)] = node, self.as_recorded(self.resolve(node), ast.unparse(node))
        return known[1]

    def as_recorded(self, held: Any, name: str) -> Any:
        """An object that was found as it is now, with recorded values in the place of tensors."""
        if isinstance(held, Ghost):
            raise UnknownNameError(name)
        if isinstance(held, arrays.KINDS):
            return self.known(held, name)
        if type(held) in (list, tuple):
            return type(held)(self.as_recorded(item, name) for item in held[:_MOST_ITEMS])
        if type(held) is dict:
            return {key: self.as_recorded(item, name) for key, item in held.items()}
        return held

    def known_as(self, node: ast.expr) -> Any:
        """The same; None where nothing is known."""
        try:
            return self.resolve(node)
        except UnknownNameError:
            return None

    def _held(self, node: ast.expr) -> Any:
        root = node
        while isinstance(root, (ast.Attribute, ast.Subscript)):
            root = root.value
        if not isinstance(root, ast.Name):
            return UnknownNameError(ast.unparse(node))
        try:
            return self.read(node)
        except UnknownNameError as error:
            return error
        except (UnreadableError, TypeError, ValueError, ArithmeticError):
            return UnknownNameError(ast.unparse(node))

    def definition(self, function: object) -> Function | None:
        return self._index.definition(function)

    def tensors(self) -> Iterator[tuple[str, Value]]:
        """Every tensor that has a name here, as a person would write it; local names first. A function that is given all
        the tensors that it reads has no others."""
        seen: set[str] = set()
        scopes = [self._number, *(self._global_scopes() if self._reads_tensors_of_its_module() else ())]
        for scope in dict.fromkeys(scopes):
            for name in sorted(self._index.names(scope)):
                for text in (name, *self._parts_of(name)):
                    if text in seen:
                        continue
                    try:
                        value = self.read(expression(text))
                    except (UnknownNameError, UnreadableError, SyntaxError):
                        continue
                    seen.add(text)
                    if isinstance(value, Value):
                        yield text, value

    def _reads_tensors_of_its_module(self) -> bool:
        held = self._index.held
        pairs = product(self._global_scopes(), self._code.co_names)
        return any((found := held(*pair, self.when)) and isinstance(found[1], Value) for pair in pairs)

    def _parts_of(self, name: str) -> list[str]:
        """What an object that a local name holds is known to hold: `cache.x` for `cache`."""
        if not name.isidentifier():
            return []
        try:
            held = self.name(name)
        except UnknownNameError:
            return []
        return sorted(name + part for part in self._index.parts(held))

    def numbers(self) -> Iterator[tuple[str, int | float]]:
        """Every Python number that has a plain name here."""
        names: list[str] = []
        for scope in (self._number, *self._global_scopes()):
            names += sorted(self._index.names(scope))
        if self._scope is not None:
            names += [name for name in list(self._scope.namespace) if not name.startswith("_")]
        for name in dict.fromkeys(filter(str.isidentifier, names)):
            with suppress(UnknownNameError):
                held = self.name(name)
                if type(held) in (int, float):
                    yield name, held

    # -- names ---------------------------------------------------------------------------------------------------

    def name(self, name: str) -> Any:
        found = self._index.held(self._number, name, self.when)
        if self._scope is None or self._scope.is_module:
            return self._global(name, found)
        if found is not None:
            return found[1]
        if name in (*self._code.co_varnames, *self._code.co_cellvars, *self._code.co_freevars):
            raise UnknownNameError(name)
        return self._global(name, None)

    def _global_scopes(self) -> list[int]:
        return self._index.module_scopes(self._scope.namespace) if self._scope is not None else [0]

    def _global(self, name: str, found: tuple[int, Any] | None) -> Any:
        for scope in self._global_scopes():
            other = self._index.held(scope, name, self.when)
            if other is not None and (found is None or other[0] > found[0]):
                found = other
        if found is not None:
            return found[1]
        namespace = self._scope.namespace if self._scope is not None else {}
        if name in namespace:
            return self.known(namespace[name], name)
        if hasattr(builtins, name):
            return getattr(builtins, name)
        raise UnknownNameError(name)

    def known(self, held: Any, name: str) -> Any:
        """What is held now, after the run: for a tensor, the value it is on the tape if that existed by then."""
        if not isinstance(held, arrays.KINDS):
            return held
        value = self._index.recording.value_of(held)
        if value is None or value.birth > self.when:
            raise UnknownNameError(name)
        return value

    # -- attributes and items --------------------------------------------------------------------------------------

    def attribute(self, base: Any, name: str) -> Any:
        found = self._index.item(base, name, self.when)
        if found is not None:
            return found
        if isinstance(base, (Value, Ghost)):
            raise UnknownNameError(name)  # computed, not named; or not seen
        if isinstance(base, ModuleType):
            if name not in vars(base) and not hasattr(base, name):
                raise UnknownNameError(name)
            return self.known(getattr(base, name), name)
        held = read_attribute(base, name)
        if (
            isinstance(held, FunctionType)
            and not isinstance(base, type)
            and name not in getattr(base, "__dict__", {})
        ):
            return MethodType(held, base)
        if held is MISSING or isinstance(held, (property, staticmethod, classmethod)):
            raise UnknownNameError(name)
        return self.known(held, name)

    def item(self, base: Any, key: Any) -> Any:
        if isinstance(base, Value):
            raise UnknownNameError("an item of a tensor is computed, not named")
        if type(key) not in (int, str, bool):
            raise UnknownNameError("an item by something that is no plain key")
        found = self._index.item(base, repr(key), self.when)
        if found is None and isinstance(key, int) and key < 0 and type(base) in (list, tuple):
            found = self._index.item(base, repr(len(base) + key), self.when)
        if found is not None:
            return found
        if type(base) not in (list, tuple, dict, torch.Size):
            raise UnknownNameError(repr(key))
        try:
            return self.known(base[key], repr(key))
        except (KeyError, IndexError, TypeError):
            raise UnknownNameError(repr(key)) from None


def _owner(thing: Any) -> int | Value:
    if isinstance(thing, (Value, Ghost)):
        return thing if isinstance(thing, Value) else thing.identity
    return id(thing)


def _latest(entries: list[tuple[int, Any]] | None, when: int) -> tuple[int, Any] | None:
    if not entries:
        return None
    position = bisect_right(entries, when, key=lambda entry: entry[0])
    return entries[position - 1] if position else None
