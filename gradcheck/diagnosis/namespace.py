"""What the names in a piece of the person's source stood for when it ran: recorded values, numbers, objects."""

from __future__ import annotations

import ast
import builtins
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch

from gradcheck.fronts.gradient_names import split_path
from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.fronts.targets import MISSING, read_attribute


class UnknownNameError(Exception):
    """Nothing is known of what a name held."""


@dataclass(frozen=True, slots=True)
class Ghost:
    """An object of which only the identity is known: enough to find the tensors it held."""

    identity: int


class BindingIndex:
    """All bindings of a recording, ready to be asked what a name held at a moment (a number of ops on the tape)."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._by_name: dict[tuple[int, str], list[tuple[int, Any]]] = defaultdict(list)
        self._by_owner: dict[tuple[int, str], list[tuple[int, Value]]] = defaultdict(list)
        self._names: dict[int, set[str]] = defaultdict(set)
        self._parts: dict[int, set[str]] = defaultdict(
            set
        )  # `.W`, `['W1']`, by the identity of what they belong to
        self._on_tensor: dict[tuple[Value, str], list[tuple[int, Value]]] = defaultdict(list)  # `x.g = ...`
        self._modules: dict[int, list[int]] = defaultdict(list)  # scopes of module level, by their namespace
        for number, scope in recording.scopes.items():
            if scope.is_module:
                self._modules[id(scope.namespace)].append(number)
        for binding in recording.bindings:
            self._by_name[binding.scope, binding.name].append((binding.when, binding.value))
            self._names[binding.scope].add(binding.name)
            if binding.owner:
                last = binding.name[len(split_path(binding.name)[0]) :]
                self._by_owner[binding.owner, _key(last)].append((binding.when, binding.value))
                self._parts[binding.owner].add(last)
                if binding.of is not None:
                    self._on_tensor[binding.of, _key(last)].append((binding.when, binding.value))
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
        for entries in (*self._by_name.values(), *self._by_owner.values(), *self._on_tensor.values()):
            entries.sort(key=lambda entry: entry[0])

    def held(self, scope: int, name: str, when: int) -> tuple[int, Any] | None:
        """(since when, what) the name held in the scope."""
        return _latest(self._by_name.get((scope, name)), when)

    def item(self, owner: int, key: str, when: int) -> Value | None:
        found = _latest(self._by_owner.get((owner, key)), when)
        return found[1] if found is not None else None

    def on_tensor(self, value: Value, name: str, when: int) -> Value | None:
        """What was set on a tensor as an attribute."""
        found = _latest(self._on_tensor.get((value, name)), when)
        return found[1] if found is not None else None

    def parts_of_tensor(self, value: Value) -> list[str]:
        return sorted(f".{name}" for owner, name in self._on_tensor if owner is value)

    def parts(self, identity: int) -> set[str]:
        return self._parts.get(identity, set())

    def names(self, scope: int) -> set[str]:
        return self._names.get(scope, set())

    def module_scopes(self, namespace: dict[str, Any]) -> list[int]:
        return [0, *self._modules.get(id(namespace), ())]

    def enclosing(self, name: str, before: int) -> list[int]:
        """Scopes of functions that lend `name` to the functions inside them, the latest first."""
        found = [
            number
            for number, scope in self.recording.scopes.items()
            if number < before and name in scope.code.co_cellvars
        ]
        return found[::-1]


class Namespace:
    """The names one execution of a statement saw, `when` it began."""

    def __init__(self, index: BindingIndex, op: Op, when: int) -> None:
        self._index = index
        self._code = op.code
        self._number = op.scope
        self._scope = index.recording.scopes.get(op.scope)
        self.when = when

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters of the function the statement stands in."""
        code = self._code
        return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    def resolve(self, node: ast.expr) -> Any:
        """A `Value`, or a plain object, for a name, an attribute or an item. Raises UnknownNameError."""
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.Attribute):
            return self._attribute(self.resolve(node.value), node.attr)
        if isinstance(node, ast.Subscript):
            base = self.resolve(node.value)
            if isinstance(base, Value):
                raise UnknownNameError("an item of a tensor is computed, not named")
            return self._item(base, self._key_of(node.slice))
        raise UnknownNameError(ast.unparse(node))

    def tensors(self) -> Iterator[tuple[str, Value]]:
        """Every tensor that has a name here, as a person would write it; local names first."""
        seen: set[str] = set()
        scopes = [self._number]
        if self._scope is not None and not self._scope.is_module:
            scopes += [
                s for name in self._code.co_freevars for s in self._index.enclosing(name, self._number)
            ]
        scopes += self._global_scopes()
        for scope in dict.fromkeys(scopes):
            for name in sorted(self._index.names(scope)):
                for text in (name, *self._parts_of(name)):
                    if text in seen:
                        continue
                    try:
                        value = self.resolve(ast.parse(text, mode="eval").body)
                    except (UnknownNameError, SyntaxError):
                        continue
                    seen.add(text)
                    if isinstance(value, Value):
                        yield text, value

    def _parts_of(self, name: str) -> list[str]:
        """What an object that a local name holds is known to hold: `cache.x` for `cache`."""
        if not name.isidentifier():
            return []
        try:
            held = self._name(name)
        except UnknownNameError:
            return []
        if isinstance(held, Value):
            return [name + part for part in self._index.parts_of_tensor(held)]
        identity = held.identity if isinstance(held, Ghost) else id(held)
        return sorted(name + part for part in self._index.parts(identity))

    def numbers(self) -> Iterator[tuple[str, int | float]]:
        """Every Python number that has a plain name here."""
        seen: set[str] = set()
        names: list[str] = []
        for scope in (self._number, *self._global_scopes()):
            names += sorted(self._index.names(scope))
        if self._scope is not None:
            names += [
                name
                for name, held in list(self._scope.namespace.items())
                if type(held) in (int, float) and not name.startswith("_")
            ]
        for name in names:
            if name in seen or not name.isidentifier():
                continue
            seen.add(name)
            try:
                held = self._name(name)
            except UnknownNameError:
                continue
            if type(held) in (int, float):
                yield name, held

    # -- names ---------------------------------------------------------------------------------------------------

    def _name(self, name: str) -> Any:
        found = self._index.held(self._number, name, self.when)
        if self._scope is None or self._scope.is_module:
            return self._global(name, found)
        if found is not None:
            return found[1]
        if name in self._code.co_freevars:
            for scope in self._index.enclosing(name, self._number):
                found = self._index.held(scope, name, self.when)
                if found is not None:
                    return found[1]
        if name in self._code.co_varnames or name in self._code.co_cellvars:
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
        if not isinstance(held, torch.Tensor):
            return held
        value = self._index.recording.value_of(held)
        if value is None or value.birth > self.when:
            raise UnknownNameError(name)
        return value

    # -- attributes and items --------------------------------------------------------------------------------------

    def _attribute(self, base: Any, name: str) -> Any:
        if isinstance(base, Value):
            set_on_it = self._index.on_tensor(base, name, self.when)
            if set_on_it is None:
                raise UnknownNameError("an attribute of a tensor is computed, not named")
            return set_on_it
        if isinstance(base, Ghost):
            found = self._index.item(base.identity, name, self.when)
            if found is None:
                raise UnknownNameError(name)
            return found
        found = self._index.item(id(base), name, self.when)
        if found is not None:
            return found
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

    def _item(self, base: Any, key: Any) -> Any:
        identity = base.identity if isinstance(base, Ghost) else id(base)
        found = self._index.item(identity, repr(key), self.when)
        if found is None and isinstance(key, int) and key < 0 and type(base) in (list, tuple):
            found = self._index.item(identity, repr(len(base) + key), self.when)
        if found is not None:
            return found
        if type(base) not in (list, tuple, dict, torch.Size):
            raise UnknownNameError(repr(key))
        try:
            return self.known(base[key], repr(key))
        except (KeyError, IndexError, TypeError):
            raise UnknownNameError(repr(key)) from None

    def _key_of(self, node: ast.expr) -> Any:
        """A key made of constants, names of numbers and plain arithmetic with them."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._number_of(node.operand)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            left, right = self._key_of(node.left), self._key_of(node.right)
            if isinstance(left, str) and isinstance(right, str) and isinstance(node.op, ast.Add):
                return left + right
            if isinstance(left, int) and isinstance(right, int):
                return left + right if isinstance(node.op, ast.Add) else left - right
            raise UnknownNameError(ast.unparse(node))
        if isinstance(node, ast.JoinedStr):
            parts = [
                p.value if isinstance(p, ast.Constant) else self._key_of(p.value)
                for p in node.values
                if isinstance(p, (ast.Constant, ast.FormattedValue))
            ]
            return "".join(str(part) for part in parts)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "str"
            and node.args
        ):
            return str(self._key_of(node.args[0]))
        key = self.resolve(node)
        if isinstance(key, (int, str)):
            return key
        raise UnknownNameError(ast.unparse(node))

    def _number_of(self, node: ast.expr) -> int:
        found = self._key_of(node)
        if not isinstance(found, int):
            raise UnknownNameError(ast.unparse(node))
        return found


def _latest(entries: list[tuple[int, Any]] | None, when: int) -> tuple[int, Any] | None:
    if not entries:
        return None
    position = bisect_right(entries, when, key=lambda entry: entry[0])
    return entries[position - 1] if position else None


def _key(last: str) -> str:
    """`W` of `.W`, `'W1'` of `['W1']`."""
    return last[1:] if last.startswith(".") else last[1:-1]
