"""The options of one layer check, as they travel from the command line to the child process. Imports no torch."""

import ast
import re
from dataclasses import dataclass, replace
from typing import Any

from gradcheck.layers.sizes import TensorTerm
from gradcheck.program.errors import ProgramError
from gradcheck.program.reading.tree import expression
from gradcheck.program.target import Target, TargetKind, parse_target

HOW_LAYERS_ARE_WRITTEN = (
    "a layer is file.py::Class, module:Class, or a pair of functions: file.py::forward,backward"
)
_SHAPE = re.compile(r"\d+(,\d+)*,?(:(\d+|unit|bool))?")


@dataclass(frozen=True, slots=True)
class LayerOptions:
    target: str
    args: str = ""  # as they are written in a call: `3, 5`
    kwargs: str = ""
    inputs: tuple[str, ...] = ()
    exact: bool = False  # these shapes alone, in the one case
    case: str | None = None
    ranks: tuple[int, ...] = ()
    seed: int = 0
    cwd: str | None = None
    timeout_s: float = 120.0
    fix_budget_s: float = 5.0
    allow_writes: bool = False


def layer_target(text: str) -> tuple[Target, tuple[str, ...]]:
    """The target, and the names in it: of one thing, or of two functions. Raises ProgramError."""
    place, separator, names = text.rpartition("::")
    if not separator:
        place, separator, names = text.rpartition(":")
    parts = tuple(part.strip() for part in names.split(","))
    if not place or not all(parts) or len(parts) > 2:
        raise ProgramError(f"`{text}` does not name a layer", HOW_LAYERS_ARE_WRITTEN)
    if place.endswith(".ipynb"):
        return replace(parse_target(place), text=text, kind=TargetKind.FUNCTION, function=parts[0]), parts
    target = parse_target(f"{place}{separator}{parts[0]}")
    if target.kind not in (TargetKind.FUNCTION, TargetKind.CALLABLE):
        raise ProgramError(f"`{text}` does not name a layer", HOW_LAYERS_ARE_WRITTEN)
    return target, parts


def arguments_of(text: str) -> tuple[Any, ...]:
    call = _call_of(text)
    if call is None or call[1]:
        raise ProgramError(f"--args: `{text}` is not a list of values", "as in a call: --args 3,5")
    return call[0]


def keywords_of(text: str) -> tuple[tuple[str, Any], ...]:
    call = _call_of(text)
    if call is None or call[0]:
        how = "as in a call: --kwargs size=3,bias=False"
        raise ProgramError(f"--kwargs: `{text}` is not a list of named values", how)
    return tuple(call[1].items())


def _call_of(text: str) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """What a function would be called with; None if that cannot be."""
    try:
        call = expression(f"f({text})")
        if not isinstance(call, ast.Call) or not all(k.arg for k in call.keywords):
            return None
        return tuple(map(_value, call.args)), {str(k.arg): _value(k.value) for k in call.keywords}
    except (ValueError, SyntaxError):
        return None


def _value(node: ast.expr) -> Any:
    """A literal, or a tensor or array to draw: `randn(4, 5)`. Raises ValueError."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("randn", "torch.randn", "np.random.randn"):
        return TensorTerm(tuple(int(ast.literal_eval(size)) for size in node.args))
    return ast.literal_eval(node)


def check_shape(option: str, text: str) -> str:
    if not _SHAPE.fullmatch(text.replace(" ", "")):
        raise ProgramError(
            f"{option}: `{text}` is not a shape",
            "4,3 is a tensor of 4 by 3; 4,3:10 integers below 10, 4,3:unit numbers from 0 to 1, 4,3:bool booleans",
        )
    return text.replace(" ", "")
