"""A constant factor that is missing, found from the numbers and written as a person would write it."""

import ast
from collections.abc import Iterator

from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.mistakes.writing import Context, Edit, written
from gradcheck.diagnosis.syntax import exchanged

_CLOSE = 1e-9


def scaled_by(tree: Tree, factor: float, context: Context) -> Iterator[Edit]:
    """The whole multiplied with `factor`, where that is a number that comes of signs, twos and the sizes in play. For
    a statement that changes a tensor in place, one more such statement after it."""
    if isinstance(tree, ast.expr):
        yield from scaled_expressions(tree, factor, context)
    elif isinstance(tree, (ast.AugAssign, ast.Assign)):
        if isinstance(tree, ast.AugAssign) and isinstance(tree.op, (ast.Add, ast.Sub)):
            # In a loop that adds up, every term has to be scaled.
            for scaled in scaled_expressions(tree.value, factor, context):
                yield Edit(scaled.cost + 0.5, exchanged(tree, (("value", None),), scaled.tree))
        target = tree.target if isinstance(tree, ast.AugAssign) else tree.targets[0]
        base = target.value if isinstance(target, ast.Subscript) else target
        if not isinstance(base, ast.Name):
            return
        name = ast.Name(base.id, ast.Load())
        for scaled in scaled_expressions(name, factor, context):
            after = _in_place(scaled.tree, name)
            if after is not None:
                yield Edit(scaled.cost + 0.3, ast.Module([tree, after], []))


def _in_place(product: Tree, of: ast.Name) -> ast.AugAssign | None:
    """`d /= n` for `d / n`."""
    if not isinstance(product, ast.BinOp):
        return None
    target = ast.Name(of.id, ast.Store())
    if product.left is of:
        return ast.AugAssign(target, product.op, product.right)
    if product.right is of and isinstance(product.op, ast.Mult):
        return ast.AugAssign(target, product.op, product.left)
    return None


def scaled_expressions(tree: ast.expr, factor: float, context: Context) -> Iterator[Edit]:
    """An expression multiplied with `factor`, as above."""
    negated = tree.operand if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub) else None
    minus = negated or written("-x", x=tree)
    if _equal(factor, -1):
        yield Edit(0.9, minus)
        return
    if not factor:
        return
    body, wanted = (tree, factor) if factor > 0 else (minus, -factor)
    for cost, value, form, number in _forms(context):
        if _equal(wanted, value):
            before, _, after = form.rpartition("* x")
            product = _times(written(before, n=number), body) if before else body
            yield Edit(cost, written(f"x{after}" if before else form, x=product, n=number))


def _forms(context: Context) -> Iterator[tuple[float, float, str, str]]:
    """The ways to multiply `x` with a number: the cost, the factor, the form, and what `n` is in it."""
    for whole in (2, 3, 4):
        yield 1.0, whole, "n * x", str(whole)
        yield 1.0, 1 / whole, "x / n", str(whole)
    for text, size in context.size_texts:
        yield 1.0, 1 / size, "x / n", text
        yield 1.0, size, "x * n", text
        yield 1.2, 2 / size, "2 * x / n", text
        if size > 1:
            yield 1.5, size / (size - 1), "n / (n - 1) * x", text
            yield 1.5, (size - 1) / size, "(n - 1) / n * x", text
            yield 1.3, 1 / (size - 1), "x / (n - 1)", text
    named = {number for text, number in context.numbers if text.isidentifier()}
    for literal in context.literals:
        if literal > 0 and literal not in named:  # a name says which of several equal numbers is meant
            yield 1.1, literal, "n * x", repr(literal)
            yield 1.2, 1 / literal, "x / n", repr(literal)
    for text, number in context.numbers:
        if number > 0 and number != 1 and text.isidentifier():
            cost = 0.95 if text in context.parameters else 1.05 if type(number) is float else 1.3
            yield cost, number, "x * n", text
            yield cost, 1 / number, "x / n", text


def _times(number: ast.expr, body: ast.expr) -> ast.expr:
    """`2 * a / n` for `2 * (a / n)`."""
    if isinstance(body, ast.BinOp) and isinstance(body.op, (ast.Mult, ast.Div)):
        return ast.BinOp(_times(number, body.left), body.op, body.right)
    return ast.BinOp(number, ast.Mult(), body)


def _equal(left: float, right: float) -> bool:
    return abs(left - right) <= _CLOSE * abs(right)
