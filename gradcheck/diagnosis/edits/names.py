"""Another name: the wrong upstream gradient, the value before the activation for the one after it, another layer's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from difflib import SequenceMatcher

from gradcheck.diagnosis.edits.context import Context, Edit, edit, is_loaded, parsed
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import expressions
from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Value

_MOST = 24  # other names tried for one


def edits(tree: Tree, context: Context) -> Iterator[Edit]:
    inside_path: set[int] = set()
    for path, node in expressions(tree):
        if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) or not is_loaded(node):
            continue
        if id(node) in inside_path:
            continue
        held = context.resolve(node)
        if held is None:
            continue
        # The parts of a path that stands for one value are not names of their own; a number in its index is.
        inside_path.update(id(inner) for inner in ast.walk(getattr(node, "value", node)) if inner is not node)
        if isinstance(held, Value):
            own = ast.unparse(node)
            for cost, text in others(own, held, context):
                yield edit(cost, tree, path, parsed(text))
        elif type(held) in (int, float):
            for text, value in context.numbers:
                if value != held and text.isidentifier():
                    yield edit(1.6, tree, path, parsed(text))


def others(own: str, held: Value, context: Context) -> list[tuple[float, str]]:
    """Names that could have been meant for `own`, which holds `held`, with what each costs; the likeliest first."""
    found: list[tuple[float, str]] = []
    for text, value in context.tensors:
        if value is held or text == own or not _fits(value.shape, held.shape):
            continue
        cost = 1.0 + 0.5 * (1 - SequenceMatcher(None, own, text).ratio())
        if (value in context.forward) != (held in context.forward):
            cost += 0.5  # a gradient for a gradient, a forward value for a forward value
        if parse(text).form is Form.NONE and value not in context.forward:
            cost += 0.2
        found.append((cost, text))
    return sorted(found)[:_MOST]


def _fits(left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    return tuple(left) == tuple(right) or [n for n in left if n != 1] == [n for n in right if n != 1]
