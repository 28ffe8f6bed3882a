"""What `forward` does with a parameter, and `backward` gives back for it, says what may be handed over, whatever its name
is: what it counts with is a whole number, what it picks rows by are positions, what has no gradient is no tensor to learn.
"""

import ast
import inspect
import math
import textwrap
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from enum import Enum, auto
from typing import Any

from gradcheck.ops import CLAMP, RESHAPE, SPLIT, Family, operation_called
from gradcheck.program.reading.tree import parse, parts_of


class Use(Enum):
    """Of several, the first counts."""

    WEIGHT = auto()  # it is the second operand of a product
    TENSOR = auto()  # `backward` returns a gradient for it
    FUNCTION = auto()
    INDEX = auto()
    COUNT = auto()
    NUMBERS = auto()  # an array is made of it
    CONSTANT = auto()  # `backward` returns None for it
    SHARE = auto()  # it is kept between about 0 and about 1
    OPERAND = auto()  # it is added or multiplied
    UNKNOWN = auto()


_MOST_MULTIPLE = 128
_SHAPED = (Family.LAYOUT, Family.BROADCAST, Family.CONSTANT)
_PICKED = (Family.GATHER, Family.SCATTER)


def use_of(name: str, forward: Callable[..., Any], has_gradient: dict[str, bool] | None = None) -> Use:
    """`has_gradient`: what `gradients_given` found, where autograd runs the backward pass."""
    gradient = (has_gradient or {}).get(name)
    known = getattr(inspect.unwrap(forward), "__globals__", {})
    uses = {use for node in nodes_of(forward) for read, use in _uses(node, known) if read == name}
    if gradient is not None:
        uses.add(Use.TENSOR if gradient else Use.CONSTANT)
    return next((use for use in Use if use in uses), Use.UNKNOWN)


def multiple_wanted(forward: Callable[..., Any], depth: int = 2) -> int:
    """What sizes may have to be a multiple of: the whole numbers that `forward`, or a function that it calls, divides,
    lays out, splits and strides by."""
    known = getattr(inspect.unwrap(forward), "__globals__", {})
    found: list[ast.expr | None] = []
    wanted = [1]
    for node in nodes_of(forward):
        match node:
            case ast.BinOp(_, ast.FloorDiv() | ast.Mod(), part) | ast.Slice(_, _, part):
                found.append(part)
            case ast.Call(ast.Attribute(_, called), arguments) if operation_called(called) in (
                RESHAPE,
                SPLIT,
            ):
                found += [item for each in arguments for item in parts_of(each)]
            case ast.Call(ast.Name(called)) if depth and inspect.isfunction(known.get(called)):
                wanted.append(multiple_wanted(known[called], depth - 1))
    numbers = [n.value for n in found if isinstance(n, ast.Constant) and isinstance(n.value, int)]
    return math.lcm(*wanted, *(n for n in numbers if 1 < n <= _MOST_MULTIPLE))


def words_for(forward: Callable[..., Any], backward: Callable[..., Any]) -> dict[str, list[str]]:
    """By what `forward` takes, the words that it is compared with (`reduction == "sum"`), there or where it was kept."""
    found: dict[str, list[str]] = {}
    for node in (*nodes_of(forward), *nodes_of(backward)):
        match node:
            case ast.Compare(ast.Name(read) | ast.Attribute(_, read), [_], [ast.Constant(str(word))]):
                words = found.setdefault(read, [])
                words += [word] if word not in words else []
    return found


def gradients_given(backward: Callable[..., Any], names: list[str]) -> dict[str, bool]:
    """Whether an autograd Function's `backward` ever returns something else than None for each input of `forward`."""
    returned: list[list[ast.expr]] = []
    nothing = _only_none(backward)
    for node in nodes_of(backward):
        if isinstance(node, ast.Return) and node.value is not None:
            parts = parts_of(node.value)
            if len(parts) != len(names) or any(isinstance(part, ast.Starred) for part in parts):
                return {}
            returned.append(parts)
    return {
        name: any(not _is_none(parts[place], nothing) for parts in returned)
        for place, name in enumerate(names if returned else [])
    }


def _is_none(node: ast.expr, nothing: Collection[str] = ()) -> bool:
    if isinstance(node, ast.Name):
        return node.id in nothing
    return isinstance(node, ast.Constant) and node.value is None


def _only_none(function: Callable[..., Any]) -> set[str]:
    """The names that it binds to None and to nothing else: `dx = dw = dstride = None` at the top, and `dstride` returned."""
    nodes = list(nodes_of(function))
    bound = Counter(n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    assigned = [
        (target, node.value) for node in nodes if isinstance(node, ast.Assign) for target in node.targets
    ]
    pairs = [
        pair for target, value in assigned for pair in zip(parts_of(target), parts_of(value), strict=False)
    ]
    to_none = Counter(to.id for to, value in pairs if isinstance(to, ast.Name) and _is_none(value))
    return {name for name, times in to_none.items() if times == bound[name]}


def _uses(node: ast.AST, known: dict[str, Any]) -> Iterator[tuple[str, Use]]:
    match node:
        case ast.BinOp(left, ast.FloorDiv() | ast.Mod(), right):
            yield from ((read, Use.COUNT) for part in (left, right) for read in _plain_names(part))
        case ast.BinOp(_, ast.MatMult(), ast.Name(read)):
            yield read, Use.WEIGHT
        case ast.BinOp(left, ast.Add() | ast.Sub() | ast.Mult(), right):
            yield from ((part.id, Use.OPERAND) for part in (left, right) if isinstance(part, ast.Name))
        case ast.Slice(lower, upper, step):
            parts = [part for part in (lower, upper, step) if part is not None]
            yield from ((read, Use.COUNT) for part in parts for read in _plain_names(part))
        case ast.Subscript(_, key):
            yield from ((part.id, Use.INDEX) for part in parts_of(key) if isinstance(part, ast.Name))
        case ast.Call(ast.Name(read) | ast.Attribute(ast.Name(read), "forward")) if read not in known:
            yield read, Use.FUNCTION
        case ast.Call(ast.Name("range"), arguments):
            yield from ((read, Use.COUNT) for part in arguments for read in _plain_names(part))
        case ast.Call(
            ast.Attribute(ast.Name(), "tensor" | "as_tensor" | "array" | "asarray"), [ast.Name(read), *_]
        ):
            yield read, Use.NUMBERS
        case ast.Call(ast.Attribute(owner, called), [*begin, _, most]) if operation_called(called) is CLAMP:
            one = ast.unparse(most).partition(" - ")[0]  # `1 - eps`
            if one in ("1", "1.0") or one.startswith("0.9"):
                part = begin[0] if begin else owner
                if isinstance(part, (ast.Name, ast.Attribute)):  # or where it was kept under its name
                    yield part.id if isinstance(part, ast.Name) else part.attr, Use.SHARE
        case ast.Call(ast.Attribute(owner, called), arguments) if not called.endswith(("_as", "_like")):
            is_method = not (isinstance(owner, ast.Name) and inspect.ismodule(known.get(owner.id)))
            family = operation_called(called).family
            if family in _SHAPED:
                takes_shape = is_method or family is Family.CONSTANT
                shape = arguments if takes_shape else arguments[1:]
                yield from ((read, Use.COUNT) for part in shape for read in _plain_names(part))
            elif family in _PICKED or family is Family.PRODUCT:
                use, place = (Use.INDEX, 1) if family in _PICKED else (Use.WEIGHT, 0)  # after the axis
                place += not is_method
                second = arguments[place : place + 1]
                yield from ((part.id, use) for part in second if isinstance(part, ast.Name))


def _plain_names(node: ast.expr) -> Iterator[str]:
    """The names that a shape or a count is worked out from: not those inside of calls, or of which a part is read."""
    match node:
        case ast.Name(read):
            yield read
        case ast.BinOp(left, _, right):
            yield from _plain_names(left)
            yield from _plain_names(right)
        case ast.Tuple(parts) | ast.List(parts):
            for part in parts:
                yield from _plain_names(part)


def nodes_of(function: Callable[..., Any]) -> Iterator[ast.AST]:
    """Its source, from the outside in; nothing where that is not there."""
    try:
        yield from ast.walk(parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))))
    except (OSError, TypeError, SyntaxError):
        return
