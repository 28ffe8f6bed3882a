"""The names that a program moves by a computed step: `b -= rate * db`, `self.w = self.w + step`.

Where such a name holds a plain number to begin with, that number is a parameter, and no constant.
"""

import ast

_STEPS = (ast.Add, ast.Sub)
_MEETS = (ast.Add, ast.Sub, ast.Mult, ast.MatMult)  # what a parameter does with data


def moved_names(tree: ast.Module) -> frozenset[str]:
    """As they are written. One that is only added to is a sum, unless something is computed with it."""
    moved: dict[str, bool] = {}
    met: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.AugAssign) and isinstance(node.op, _STEPS):
            _note(moved, node.target, node.op, node.value)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.BinOp):
            target, value = node.targets[0], node.value
            if isinstance(value.op, _STEPS) and path_of(value.left) == path_of(target) is not None:
                _note(moved, target, value.op, value.right)
                met.update(filter(None, map(path_of, ast.walk(value.right))))
                continue
        if isinstance(node, ast.BinOp) and isinstance(node.op, _MEETS):
            met.update(filter(None, (path_of(node.left), path_of(node.right))))
    return frozenset(name for name, subtracts in moved.items() if subtracts or name in met)


def path_of(node: ast.AST) -> str | None:
    """`b`, or `self.b`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def _note(moved: dict[str, bool], target: ast.expr, op: ast.operator, step: ast.expr) -> None:
    name = path_of(target)
    if name is not None and not isinstance(step, ast.Constant):
        moved[name] = moved.get(name, False) or isinstance(op, ast.Sub)
