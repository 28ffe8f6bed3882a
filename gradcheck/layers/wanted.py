"""What a parameter's name and annotation ask for: a size, a rate, a switch; an activation, a weight, indices.

A name is a guess that is tried first, never more: what runs decides. Imports no torch.
"""

import ast
import inspect
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradcheck.layers.sizes import FunctionTerm, Size, TensorTerm, Term
from gradcheck.layers.usage import Use, nodes_of

N, D, M, T, H, W, K, V, G = (Size(name) for name in "NDMTHWKVG")


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_SIZES = tuple((pattern, tuple(map(Size, letters))) for pattern, letters in _TABLES["sizes"])
_VALUES, _BOUNDS, _ROLES = _TABLES["values"], _TABLES["bounds"], _TABLES["roles"]
_OTHER_SIZES = (D, M, T)
_MOST_OPTIONAL = 8  # of the shapes that an argument may have which is None by itself
_COUNTS: tuple[Term, ...] = (G, K, N, *_OTHER_SIZES)
_SHAPES: tuple[tuple[Term, ...], ...] = ((D, M), (D, H, W))  # for one parameter that is several sizes
_STATISTICS = r"(running|moving)_?(mean|var|variance|std)"
MODE_NAMES = re.compile(r"(is_?)?train(ing)?(_mode)?|(save|keep|store|use)_?cache")


def constructor_options(parameter: inspect.Parameter, position: int, gates: int = 1) -> list[Term]:
    """What may be given for it, the likeliest first; empty if it cannot be guessed."""
    name = parameter.name.lower()
    kind = _annotation(parameter)
    role = role_of(name)
    if _is_shape(parameter):
        return [shape for shape in _SHAPES if len(shape) == len(parameter.default)]
    may_be_array = parameter.default is parameter.empty and _ARRAYS.fullmatch(kind)
    if may_be_array and role in _PARAMETERS and name != "scale":
        shapes = _parameter_shapes(role, Size("M", gates))
        return [*(TensorTerm(shape) for shape in shapes), *([True] if "bias" in name else [])]
    if kind not in ("float", "bool", "str") and (sizes := _said_by(name, _SIZES)) is not None:
        wrap = kind.startswith(("tuple", "list", "torch.size"))
        several = [*_SHAPES] if kind == "" and re.fullmatch(r".*(shape|dims|sizes|layers)", name) else []
        return [*((size,) if wrap else size for size in sizes), *several]
    if (value := _said_by(name, _VALUES)) is not None:
        return [value]
    if kind == "float":
        return [0.1]
    if kind == "bool":
        return [True]
    numbers: list[Term] = [*_OTHER_SIZES] if position == 0 else [M, D, T]
    if may_be_array:
        found = [each for role in _PARAMETERS for each in _parameter_shapes(role, Size("M", gates))]
        held = [TensorTerm(shape) for shape in dict.fromkeys(found)]
        return [*numbers, *held] if kind in ("", "any") else [*held]
    return numbers if kind in ("", "int", "any") else []


def is_a_size(parameter: inspect.Parameter) -> bool:
    """Whether its default is an arbitrary size, and not part of how a layer works."""
    default, name = parameter.default, parameter.name.lower()
    if _is_shape(parameter):
        return True
    if isinstance(default, bool) or not isinstance(default, int) or default < 1:
        return False
    return _said_by(name, _SIZES) is not None


def _is_shape(parameter: inspect.Parameter) -> bool:
    """Of an input: `input_dim=(3, 32, 32)`."""
    default, name = parameter.default, parameter.name.lower()
    several = isinstance(default, (tuple, list)) and len(default) in (2, 3) and {*map(type, default)} == {int}
    return several and bool(re.fullmatch(r"(in(put)?|image|img|x)_?(shape|dims?|sizes?)", name))


def input_options(
    parameter: inspect.Parameter,
    main: TensorTerm,
    alone: bool,
    out: Size,
    is_first: bool = True,
    use: Use = Use.UNKNOWN,
) -> list[Term]:
    """What may be handed to a parameter of `forward` when the activations look like `main`, and it gives `out` features."""
    name = parameter.name
    likely = _by_name(parameter, main, alone, out, is_first)
    match use:
        case Use.COUNT:
            first: list[Term] = [*(term for term in likely if not isinstance(term, TensorTerm)), *_COUNTS]
        case Use.FUNCTION:
            return [FunctionTerm()]
        case Use.WEIGHT if not role_of(name):
            first = _of_role("weight", main, out)
        case Use.INDEX:
            rows: list[Term] = [TensorTerm((rows,), "int", N) for rows in (T, N)]  # below every other size
            known = role_of(name) in ("index", "target")
            first = [t for t in likely if known and isinstance(t, TensorTerm) and t.kind == "int"]
            first += [*rows, *indices_of_rank_1_and_2()]
        case Use.NUMBERS:
            first = [] if role_of(name) else [TensorTerm((D,), "unit")]  # that differ: one for each feature
        case Use.SHARE:
            first = [main]
        case Use.OPERAND if role_of(name) == "target":  # no class, which nobody computes with
            order = "int unit float" if main.kind == "unit" else "float int unit"
            of_main = [t for t in likely if isinstance(t, TensorTerm) and t.dims == main.dims]
            first = sorted(of_main, key=lambda term: order.index(term.kind))
        case Use.CONSTANT:
            plain = [term for term in likely if not isinstance(term, TensorTerm)] + [*_COUNTS, 0.7]
            first = [*likely, *plain] if role_of(name) in _NO_NUMBERS else [*plain, TensorTerm((), "unit")]
        case Use.TENSOR:
            likely = [term for term in likely if isinstance(term, TensorTerm)] or _of_role("", main, out)
            one = [] if role_of(name) else [TensorTerm(()), TensorTerm((1,))]
            first = [*likely[:1], *one]
        case _:
            first = []
    return [*first, *(term for term in likely if term not in first)]


def _by_name(
    parameter: inspect.Parameter,
    main: TensorTerm,
    alone: bool,
    out: Size,
    is_first: bool,
) -> list[Term]:
    name = parameter.name.lower()
    kind = _annotation(parameter)
    if kind == "bool" or MODE_NAMES.fullmatch(name):
        return [True]
    role = role_of(name)
    if alone or (is_first and role == "main"):
        return [main]
    if name.endswith("_prev"):  # of the step before
        role = "state"
    if not role:
        if (value := _said_by(name, _VALUES)) is not None:
            return [value]
        if (sizes := _said_by(name, _SIZES if kind == "int" else _SIZES[:4])) is not None:
            return list(sizes)
        bound = [_said_by(name, _BOUNDS)] if kind != "int" and _said_by(name, _BOUNDS) is not None else []
        if kind in ("int", "float"):
            return [2] if kind == "int" else [*bound, 0.7]
        return [*bound, *_of_role(role, main, out), 2, 0.7]  # a number where no tensor fits
    return _of_role(role, main, out)


def optional_terms(parameter: inspect.Parameter, main: TensorTerm) -> list[TensorTerm]:
    """What may be handed in the place of None, where the name says what it is."""
    role = role_of(parameter.name)
    if parameter.default is not None or role not in (*_PARAMETERS, "mask", "state"):
        return []
    terms = [term for term in _of_role(role, main, Size("M")) if isinstance(term, TensorTerm)]
    return terms[:_MOST_OPTIONAL]


def has_state(parameters: list[inspect.Parameter]) -> bool:
    return any(role_of(parameter.name) == "state" for parameter in parameters)


def role_of(name: str) -> str:
    """What its name says that it is: "target", "weight", "index", ...; "" where it says nothing."""
    return _said_by(name.lower(), _ROLES) or ""


def _said_by(name: str, table: Iterable[tuple[str, Any]]) -> Any:
    return next((said for pattern, said in table if re.fullmatch(pattern, name)), None)


_PARAMETERS = ("weight", "bias", "scale")
# What is no number, also where `backward` returns None for it; the last ones are data, whose gradient nobody asks for.
NO_GRADIENT = ("target", "mask", "index", "table")
_NO_NUMBERS = ("branch", *NO_GRADIENT)
_ARRAYS = re.compile(r"|any|(torch\.)?tensor|parameter|((np|numpy)\.)?ndarray|array")


def _parameter_shapes(role: str, out: Size) -> list[tuple[Term, ...]]:
    match role:
        case "weight":
            both = Size("M", plus=("D",))  # the state and the input of a recurrent cell, side by side
            flat: list[tuple[Term, ...]] = [(D, out), (M, out), (out, D), (out, M), (D,)]
            return [*flat, (M, D, K, K), (M, D, K), (K, K, D, M), (V, D), (M,), (out, both), (both, out)]
        case "bias":
            return [(out,), (D,), (1, out), (out, 1), (D, 1), (1, 1, 1, out)]
        case _:
            return [(D,), (out,), (1, D), (D, 1), (1, D, 1, 1)]


def _of_role(role: str, main: TensorTerm, out: Size) -> list[Term]:
    rows, last = main.dims[:-1], main.dims[-1]
    floats = TensorTerm(main.dims)
    likely: list[Term] = []
    shapes: list[tuple[Term, ...]] = []
    match role:
        case "main":
            likely = [main]
        case "target":
            of_rows = TensorTerm(rows[:1], "int", M)  # one class for each image
            likely = [TensorTerm(rows, "int", last), of_rows, floats, TensorTerm(main.dims, "unit")]
            likely += [
                TensorTerm(rows),
                TensorTerm(main.dims, "int", 2),
                TensorTerm((*rows, M)),
                TensorTerm((*rows, 1), "unit"),
            ]
        case "weight" | "bias" | "scale":
            shapes = [*_parameter_shapes(role, out), (last,)]
            if role == "weight" and len(rows) > 1:  # what follows the batch is flattened
                flat = Size(rows[1].name, 1, tuple(size.name for size in main.dims[2:]))
                shapes[1:1] = [(flat, out), (out, flat)]
        case "mask":
            likely = [TensorTerm(main.dims, "bool"), TensorTerm(rows, "bool"), floats]
        case "state":
            last_step = [(rows[1], M)] if rows[1:] else []  # of steps that come first
            shapes = [(N, M), (N, D), *last_step]
            shapes.insert(0 if last is N else len(shapes), (M, N))
        case "index":
            likely = [*indices_of_rank_1_and_2()]
        case "table":  # for each step, of half of the features where those are turned in pairs
            in_pairs = isinstance(last, Size) and last.times == 2
            parts = [replace(last, times=1), last] if in_pairs else [last]
            shapes = [(*steps, part) for part in parts for steps in (rows[-1:], rows[1:2], ())]
        case _:
            likely = [main]
    if role in ("target", "mask", "index"):
        return likely  # guessed wrong, it would be taken for what it is not, and run all the same
    # Whatever its name says, it may be anything; also other rows, to be compared with those of the activations.
    shapes += [
        main.dims, rows, (M, *main.dims[1:]), (D, M), (M,), (D,), (last,), (last, last), (N, M), (N, T),
        (*main.dims, *main.dims[1:2]), (N, T, M), (N, D, M),
    ]  # fmt: skip
    found = [*likely, *(TensorTerm(shape) for shape in shapes if shape), TensorTerm((N,), "int", D)]
    return [term for place, term in enumerate(found) if term not in found[:place]]


def mains() -> list[TensorTerm]:
    """What the activations may look like, by rank: features last, or channels second; a batch first, or last."""
    shapes = [(N, D), (D, N), (N, T, D), (N, D, T), (D, N, T), (N, D, H, W), (N, H, W, D)]
    return [TensorTerm(shape) for shape in shapes]


def halves() -> list[TensorTerm]:
    """Activations whose features come in pairs, the step before them or before the heads."""
    return [TensorTerm((N, T, G, Size("K", 2))), TensorTerm((N, T, Size("K", 2)))]


def gated() -> list[TensorTerm]:
    """What the gates of a recurrent cell are computed from, all at once: of four or of three."""
    return [TensorTerm((N, Size("M", gates))) for gates in (4, 3)]


def squares() -> list[TensorTerm]:
    """Matrices that have an inverse, a determinant."""
    return [TensorTerm((D, D)), TensorTerm((N, D, D))]


def of_one() -> list[TensorTerm]:
    """A single row, column or image."""
    return [TensorTerm(shape) for shape in ((D,), (D, 1), (D, H, W), (H, W), (H, W, D))]


def rate_named(name: str) -> float | None:
    """What may be given for a learning rate: under 1, a step is the gradient, as in `self.dW = lr * dW`."""
    return 1.0 if re.fullmatch(r"lr|eta|alpha|(.*_)?(learn(ing)?_?)?rate|step_?size", name.lower()) else None


def indices_of_rank_1_and_2() -> list[TensorTerm]:
    return [TensorTerm(dims, "int", high) for high in (V, D, M) for dims in ((N,), (N, T))]


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return text.lower()


def keys_of(parameter: inspect.Parameter, function: Callable[..., Any]) -> dict[str, bool] | None:
    """What `keys_read` finds; None where it is no dict."""
    name = parameter.name
    is_one = _annotation(parameter) == "dict" or re.fullmatch(r".*_?(params?|config|cfg|opts?)", name.lower())
    return keys_read(name, function) or ({} if is_one else None)


def keys_read(name: str, function: Callable[..., Any], depth: int = 3) -> dict[str, bool]:
    """The keys that `function` reads of its parameter `name`, or a function that it hands it on to, and whether each has a
    default, as in `name.get("stride", 1)`. Keys that are counted, `"W" + str(layer)`, are those of two layers."""
    known = getattr(inspect.unwrap(function), "__globals__", {})
    found: dict[str, bool] = {}
    nodes = [node for node in nodes_of(function) if isinstance(node, ast.expr)]
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):  # as they are read
        match node:
            case ast.Subscript(ast.Name(id=read), ast.Constant(str(key)), ast.Load()) if read == name:
                found.setdefault(key, False)
            case ast.Subscript(
                ast.Name(id=read),
                ast.BinOp(ast.Constant(str(key)), ast.Add(), ast.Call(ast.Name("str")))
                | ast.JoinedStr([ast.Constant(str(key)), ast.FormattedValue()]),
                ast.Load(),
            ) if read == name:
                found |= {f"{key}{number}": False for number in (1, 2)}
            case ast.Call(ast.Attribute(ast.Name(id=read), "get"), [ast.Constant(str(key)), *_]) if (
                read == name
            ):
                found.setdefault(key, True)
            case ast.Call(ast.Name(id=called) | ast.Attribute(ast.Name(id=called)), arguments) if depth:
                owner = known.get(called)
                taker: Any = getattr(owner, getattr(node.func, "attr", ""), owner)
                for taken in _taken_as(name, arguments, taker) if inspect.isfunction(taker) else ():
                    found = keys_read(taken, taker, depth - 1) | found
    return found


def key_options(key: str, has_default: bool, main: TensorTerm, out: Size) -> list[Term]:
    """What may be given for a key; nothing, where it has a default and its name does not say beyond doubt what it asks for."""
    if re.fullmatch(_STATISTICS, key):
        return [TensorTerm((size,), "unit" if "mean" not in key else "float") for size in (D, M)]
    if has_default and _said_by(key, (*_SIZES[:4], *_VALUES)) is None:
        return []
    role = role_of(key)
    if role in _PARAMETERS:  # what broadcasts where it does not belong would run all the same
        shapes = _parameter_shapes(role, out)
        return [TensorTerm(shape) for shape in shapes if len(shape) > (role == "weight")]
    asked = inspect.Parameter(key, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return _by_name(asked, main, False, out, False)


def _taken_as(name: str, arguments: list[ast.expr], taker: Callable[..., Any]) -> list[str]:
    """The parameters of `taker` that it is handed by position for."""
    parameters = list(inspect.signature(taker).parameters)
    return [
        parameter
        for parameter, argument in zip(parameters, arguments, strict=False)
        if isinstance(argument, ast.Name) and argument.id == name
    ]
