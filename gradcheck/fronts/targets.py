"""Which names a statement binds, read from the source, and what they hold, read from the frame.

Only plain reads are made: names, entries of `__dict__`, items of lists and dicts. No property, descriptor or
user-defined `__getitem__` of the person's is ever run by looking.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from gradcheck.program.location import Location
from gradcheck.program.source import SourceMap

MISSING = object()
_GROWING_METHODS = {"append", "insert", "extend", "appendleft", "extendleft", "update", "setdefault", "add"}
_MAX_ITEMS = 400


@dataclass(frozen=True, slots=True)
class Target:
    """One place a statement writes to. `alias`: a loop variable, which names something that exists already."""

    text: str
    node: ast.expr
    alias: bool = False
    is_name: bool = False  # a plain name, which needs no walking
    grows: bool = False  # only its last item is new
    container: str = ""  # for an item, what it is an item of


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor (or None) found under a name; `owner` is the identity of the object it is an item of."""

    name: str
    value: torch.Tensor | None
    owner: int = 0
    evaluated: str = ""  # for an item, the name with its key as it was: `dW[2]` for `dW[i]`


def targets_by_line(text: str) -> dict[int, tuple[Target, ...]]:
    """For every line of `text`, the targets of the simple statements (and loop headers) that cover it."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return {}
    found: dict[int, list[Target]] = {}
    for node in ast.walk(tree):
        targets = tuple(targets_of(node))
        if not targets:
            continue
        first, last = node.lineno, node.end_lineno or node.lineno  # type: ignore[attr-defined]
        if isinstance(node, (ast.For, ast.With)):
            last = max(node.body[0].lineno - 1, first)
        for line in range(first, last + 1):
            found.setdefault(line, []).extend(targets)
    return {line: tuple(targets) for line, targets in found.items()}


def targets_of(node: ast.AST) -> Iterator[Target]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _flatten(target)
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        yield from _flatten(node.target)
    elif isinstance(node, ast.For):
        for loop_variable in _flatten(node.target):
            yield Target(loop_variable.text, loop_variable.node, True, loop_variable.is_name)
    elif isinstance(node, ast.With):
        for item in node.items:
            if item.optional_vars is not None:
                yield from _flatten(item.optional_vars)
    elif isinstance(node, ast.NamedExpr):
        yield from _flatten(node.target)
    elif (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr in _GROWING_METHODS
    ):
        for grown in _flatten(node.value.func.value):
            yield Target(grown.text, grown.node, grows=node.value.func.attr == "append")


def _flatten(node: ast.expr) -> Iterator[Target]:
    if isinstance(node, (ast.Tuple, ast.List)):
        for item in node.elts:
            yield from _flatten(item)
    elif isinstance(node, ast.Starred):
        yield from _flatten(node.value)
    elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        container = ast.unparse(node.value) if isinstance(node, ast.Subscript) else ""
        yield Target(ast.unparse(node), node, is_name=isinstance(node, ast.Name), container=container)


def names_written(sources: SourceMap, location: Location) -> set[str]:
    """What the statement at `location` writes to, as its text names it: `dx` for `dx[mask] = 0`."""
    for unit in sources.units.values():
        if (unit.file, unit.cell) == (location.file, location.cell):
            targets = targets_by_line(unit.code).get(location.line, ())
            return {t.container or t.text for t in targets} | {t.text for t in targets}
    return set()


def held_by(target: Target, frame: FrameType, names: Mapping[str, Any]) -> Iterator[Held]:
    """The tensors a target holds now; those of a list, tuple or dict under `name[0]`, `name['W1']`. `names` are
    the locals of `frame`."""
    value, owner = _read(target.node, frame, names)
    if value is None:
        yield Held(target.text, None, owner)
    elif target.grows and type(value) is list:
        if value:
            yield from tensors_in(f"{target.text}[{len(value) - 1}]", value[-1], id(value), depth=1)
    elif value is not MISSING:
        text = target.text
        if target.container and owner and isinstance(value, torch.Tensor):
            yield Held(text, value, owner, _evaluated(target, frame, names))
            return
        if target.container and owner == 0 and isinstance(value, torch.Tensor):
            text = target.container  # `dx[mask] = a` changes dx
        yield from tensors_in(text, value, owner)


def _evaluated(target: Target, frame: FrameType, names: Mapping[str, Any]) -> str:
    if not isinstance(target.node, ast.Subscript):
        return ""
    key = _read_key(target.node.slice, frame, names)
    return f"{target.container}[{key!r}]" if isinstance(key, (int, str)) else ""


def tensors_in(name: str, value: Any, owner: int = 0, depth: int = 2) -> Iterator[Held]:
    if isinstance(value, torch.Tensor):
        yield Held(name, value, owner)
    elif depth and isinstance(value, (list, tuple)):
        for i, item in enumerate(value[:_MAX_ITEMS]):
            if isinstance(item, torch.Tensor):
                yield Held(f"{name}[{i}]", item, id(value))
            elif depth > 1 and isinstance(item, (list, tuple, dict)):
                yield from tensors_in(f"{name}[{i}]", item, id(value), depth - 1)
    elif depth and isinstance(value, dict):
        for key in list(value)[:_MAX_ITEMS]:
            if isinstance(key, (str, int)):
                yield from tensors_in(f"{name}[{key!r}]", value[key], id(value), depth - 1)


def _read(node: ast.expr, frame: FrameType, names: Mapping[str, Any]) -> tuple[Any, int]:
    """What `node` evaluates to by plain reads, and the identity of the object it was read from."""
    if isinstance(node, ast.Name):
        return read_name(node.id, frame, names), 0
    if isinstance(node, ast.Attribute):
        base, _ = _read(node.value, frame, names)
        return read_attribute(base, node.attr), id(base)
    if isinstance(node, ast.Subscript):
        base, _ = _read(node.value, frame, names)
        if type(base) not in (list, dict, tuple):
            # An item of a tensor, or of a class of the person's: what changed is the container itself.
            return (base, 0) if isinstance(base, torch.Tensor) else (MISSING, 0)
        key = _read_key(node.slice, frame, names)
        try:
            return base[key], id(base)
        except Exception:
            return MISSING, 0
    return MISSING, 0


def read_name(name: str, frame: FrameType, names: Mapping[str, Any]) -> Any:
    found = names.get(name, MISSING)
    if found is not MISSING or name in frame.f_code.co_varnames or name in frame.f_code.co_cellvars:
        return found
    return frame.f_globals.get(name, MISSING)


def read_attribute(base: Any, name: str) -> Any:
    if base is MISSING:
        return MISSING
    if isinstance(base, torch.Tensor) and name in ("grad", "data"):
        return base.grad if name == "grad" else base
    for holder in (base, type(base)) if not isinstance(base, type) else (base,):
        attributes = getattr(holder, "__dict__", None)
        if attributes is None:
            continue
        if name in attributes:
            return attributes[name]
        if "_parameters" in attributes and name in attributes["_parameters"]:
            return attributes["_parameters"][name]
    return MISSING


def _read_key(node: ast.expr, frame: FrameType, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return read_name(node.id, frame, names)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        key = _read_key(node.operand, frame, names)
        return -key if isinstance(key, int) else MISSING
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        left, right = _read_key(node.left, frame, names), _read_key(node.right, frame, names)
        same = isinstance(left, (int, str)) and type(left) is type(right)
        if same and isinstance(node.op, ast.Add):
            return left + right
        if same and isinstance(left, int):
            return left - right
        return MISSING
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str" and node.args:
        key = _read_key(node.args[0], frame, names)
        return str(key) if isinstance(key, int) else MISSING
    if isinstance(node, ast.JoinedStr):
        parts = [
            p.value if isinstance(p, ast.Constant) else _read_key(p.value, frame, names)
            for p in node.values
            if isinstance(p, (ast.Constant, ast.FormattedValue))
        ]
        return MISSING if any(p is MISSING for p in parts) else "".join(str(p) for p in parts)
    if isinstance(node, ast.Attribute):
        return read_attribute(_read(node.value, frame, names)[0], node.attr)
    if isinstance(node, ast.Tuple):
        keys = tuple(_read_key(item, frame, names) for item in node.elts)
        return MISSING if MISSING in keys else keys
    return MISSING
