"""Another factor in a product: the derivative of an activation for what stands there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck.diagnosis.edits.context import Context, Edit, edit, parsed
from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.syntax import expressions

_FORMS = (
    ("{}", 0.0), ("{} > 0", 0.1), ("1 - {}**2", 0.2), ("{} * (1 - {})", 0.2), ("1 / {}", 0.3), ("1 - {}", 0.3), ("{}**2", 0.3),
)  # fmt: skip
_MOST = 30


def edits(tree: Tree, context: Context) -> Iterator[Edit]:
    names = [
        t for t, value in context.tensors if value in context.forward and tuple(value.shape) == context.shape
    ]
    for path, node in expressions(tree):
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult):
            continue
        for side in ("left", "right"):
            if isinstance(getattr(node, side), ast.Constant):
                continue
            for text in names[:_MOST]:
                for form, dearer in _FORMS:
                    yield edit(2.3 + dearer, tree, (*path, (side, None)), parsed(form.format(text, text)))
