"""Whether a piece of source works on gradients: binds names of gradients, uses autograd's, moves something
downhill, or may do anything at all."""

import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.machinery import PathFinder

from gradcheck import ops
from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.program.reading.names import targets_of
from gradcheck.program.source import is_library

_Function = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_MOVES = ops.ADDITIVE | {ops.ADDCMUL, ops.ADDCDIV}
_ANYTHING = frozenset(
    ["exec", "eval", "compile", "import_module", "__import__", "run_path", "run_module", "get_ipython"]
)


@dataclass(slots=True)
class Part:
    """A piece of code: whether it works on gradients itself, and what names it mentions."""

    works: bool = False
    mentions: set[str] = field(default_factory=set)


def part_of(nodes: Iterable[ast.AST]) -> Part:
    """Of these nodes; functions and classes defined among them run only where they are mentioned."""
    part = Part()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if isinstance(node, DEFINITIONS):
            pending += node.decorator_list
            continue
        if _works(node):
            part.works = True
            return part
        if isinstance(node, ast.Name):
            part.mentions.add(node.id)
        elif isinstance(node, ast.Attribute):
            part.mentions.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            part.mentions.add(node.value)  # getattr(layer, "backward")
        pending += ast.iter_child_nodes(node)
    return part


def function_part(node: _Function) -> Part:
    body: list[ast.AST] = list(node.body)
    if node.name == "__init__":
        # `self.dW = None` makes room for a gradient and computes none.
        body = [n for n in body if not (isinstance(n, ast.Assign) and isinstance(n.value, ast.Constant))]
    part = part_of(body)
    arguments = node.args
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        part.works = part.works or parse(argument.arg).form is not Form.NONE
    return part


def _works(node: ast.AST) -> bool:
    """Whether it binds the name of a gradient, uses autograd's, or moves something downhill."""
    if isinstance(node, ast.Attribute) and _of_gradients(node.attr):
        return True
    if isinstance(node, ast.Name) and node.id in _ANYTHING:
        return True
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return any(_is_unread_module(name) for name in _imported(node))
    if isinstance(node, ast.AugAssign):
        # `W -= rate * g`, `W += -rate * g`
        if isinstance(node.op, ast.Sub) and not isinstance(node.value, ast.Constant):
            return True
        if isinstance(node.op, ast.Add) and _has_minus(node.value):
            return True
    elif isinstance(node, (ast.Assign, ast.NamedExpr)) and _moves(node):
        return True
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and _makes_generator(node.value):
        return False  # `g = torch.Generator()`
    targets = (t for t in targets_of(node))
    return any(parse(text).form is not Form.NONE for t in targets for text in (t.text, t.container) if text)


def _of_gradients(attribute: str) -> bool:
    spelling = ops.spelling(attribute)
    moves = spelling.in_place and spelling.operation in _MOVES
    return moves or spelling.operation is ops.BACKWARD or attribute in ("grad", "step")


def _moves(node: ast.Assign | ast.NamedExpr) -> bool:
    """`W = W - rate * g`, `W = W + -rate * g`."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = {ast.unparse(target) for target in targets}
    for inner in ast.walk(node.value):
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, (ast.Sub, ast.Add)):
            # In a comprehension it is the loop variable that is moved: `W = [w - rate * g for w, g in ...]`.
            own = ast.unparse(inner.left) in names or isinstance(node.value, (ast.ListComp, ast.DictComp))
            if own and (isinstance(inner.op, ast.Sub) or _has_minus(inner.right)):
                return True
    return False


def _has_minus(node: ast.AST) -> bool:
    return any(isinstance(n, (ast.USub, ast.Sub)) for n in ast.walk(node))


def _makes_generator(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Call) and any(
        isinstance(n, (ast.Name, ast.Attribute))
        and (n.id if isinstance(n, ast.Name) else n.attr) == "Generator"
        for n in ast.walk(node.func)
    )


def may_hold(node: ast.AST) -> bool:
    return not isinstance(node, (ast.Constant, ast.BinOp, ast.Compare))


def without_called(node: ast.expr) -> ast.expr:
    """The expression without the functions that it calls: those have run by the time it has a value."""
    if not isinstance(node, ast.Call):
        return node
    return ast.Tuple([*node.args, *(keyword.value for keyword in node.keywords)], ast.Load())


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    return [(node.module or ".").partition(".")[0]]


def _is_unread_module(name: str) -> bool:
    """Whether importing it would run code of the person's that has not been read yet."""
    if name in sys.modules:
        return False
    try:
        spec = PathFinder.find_spec(name)
    except Exception:
        return True
    if spec is None or spec.origin in (None, "built-in", "frozen"):
        return False
    return spec.origin is not None and not is_library(spec.origin)


def is_operator(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name != "__init__"
