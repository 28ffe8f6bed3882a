"""Whether a value that has a gradient and does not move is a parameter that somebody forgot.

A network's input has a gradient too, and nobody moves it; a frozen table is left alone on purpose. Only a value that is
shown to be a parameter like those that move, and that no line of the program treats otherwise, may be accused.
"""

import ast
import re
from collections.abc import Iterator

from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.passes import PassPlan

_CHANGING = re.compile(r"[A-Za-z]\w*_$")


def may_be_still(value: Value, siblings: list[Value], judge: Judge) -> bool:
    """Whether its not moving can only be an omission."""
    if not _named_alike(value, siblings, judge.names) and not _reused_over_batch(value, siblings, judge.plan):
        return False
    return not _passed_over(value, siblings, judge) and not _moved_by_source(value, judge)


def _named_alike(value: Value, siblings: list[Value], names: NameIndex) -> bool:
    """`b2` beside `b1`, `params['W2']` beside `params['W1']`: the names differ in one number alone."""
    own = {b.name for b in names.bindings(value) if not b.alias}
    theirs = {b.name for sibling in siblings for b in names.bindings(sibling) if not b.alias}
    return any(_differ_in_a_number(left, right) for left in own for right in theirs)


def _differ_in_a_number(left: str, right: str) -> bool:
    """Not in a position: items of one list (`cache[0]`, `cache[1]`) may be anything."""
    if left.endswith("]") and not left.endswith(("']", '"]')):
        return False
    ours, others = re.split(r"(\d+)", left), re.split(r"(\d+)", right)
    if len(ours) != len(others):
        return False
    different = [i for i, (a, b) in enumerate(zip(ours, others, strict=True)) if a != b]
    return len(different) == 1 and different[0] % 2 == 1


def _reused_over_batch(value: Value, siblings: list[Value], plan: PassPlan) -> bool:
    """Whether one and the same value serves all samples: what is computed from it and from data has the axis of the
    samples, which it has not. An input has that axis itself, and an initial state meets a parameter before it meets
    data."""
    known = {size for v in (value, *siblings) for size in v.shape}
    batch = {size for v in _last_before_loss(plan) for size in v.shape if size > 1 and size not in known}
    parameters = {v.root for v in (value, *siblings)}
    return any(
        size in batch
        for op in plan.forward_ops
        if any(v.root is value.root for v in op.inputs) and any(v.root not in parameters for v in op.inputs)
        for output in op.outputs
        for size in output.shape
    )


def _last_before_loss(plan: PassPlan) -> list[Value]:
    """The values nearest to the loss that are no single numbers: what it is a sum or a mean of."""

    def has_axes(value: Value) -> bool:
        return any(size > 1 for size in value.shape)

    def stop(value: Value) -> bool:
        return has_axes(value) or (value.producer is not None and value.producer.index < plan.start)

    return [value for value in flow.ancestors(plan.loss, stop=stop) if has_axes(value)]


def _passed_over(value: Value, siblings: list[Value], judge: Judge) -> bool:
    """Whether a loop that moves the others had this one in hand and did nothing with it."""

    def held(v: Value) -> set[tuple[str, int]]:
        bindings, loss = judge.names.bindings(v), judge.plan.loss_op.index
        return {(b.name, b.line) for b in bindings if b.alias and b.when > loss}

    return any(held(value) & held(sibling) for sibling in siblings)


def _moved_by_source(value: Value, judge: Judge) -> bool:
    """Whether some line of the program changes it, if perhaps not in this step: every tenth step, after a warm-up."""
    own = {b.name for b in judge.names.bindings(value)}
    statements = judge.places.statements(judge.plan.loss_op.code.co_filename)
    if any(_changes(statement, own) for statement in statements):
        return True
    # Where the key is computed the line may change any item. If nothing can skip it, it ran for all that it changes.
    skippable = {inner for statement in statements if _may_skip(statement) for inner in ast.walk(statement)}
    keys = {
        key
        for statement in skippable
        if isinstance(statement, ast.AugAssign)
        for key in _computed(statement.target)
    }
    return not keys.isdisjoint(name.partition("[")[0] for name in own if name.endswith("]"))


def _may_skip(statement: ast.stmt) -> bool:
    """Whether some lines of `statement` may be passed over in one turn and run in the next."""
    if isinstance(statement, (ast.For, ast.While)):
        return any(isinstance(inner, (ast.Continue, ast.Break)) for inner in ast.walk(statement))
    return isinstance(statement, ast.If)


def _computed(target: ast.expr) -> Iterator[str]:
    """`params` of `params[f"w{i}"]`."""
    if isinstance(target, ast.Subscript) and isinstance(target.slice, (ast.JoinedStr, ast.BinOp, ast.Name)):
        yield ast.unparse(target.value)


def _changes(statement: ast.stmt, own: set[str]) -> bool:
    if isinstance(statement, ast.AugAssign):
        return _base(statement.target) in own
    if isinstance(statement, ast.Assign):
        changed = any(_base(target) in own for target in statement.targets)
        read = {
            ast.unparse(n)
            for n in ast.walk(statement.value)
            if isinstance(n, (ast.Name, ast.Subscript, ast.Attribute))
        }
        return changed and bool(read & own)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        called = statement.value.func
        if isinstance(called, ast.Attribute) and _CHANGING.match(called.attr):
            return _base(called.value) in own
    return False


def _base(node: ast.expr) -> str:
    """`W` of `W.data`, `W.data[:]` and `W[0]`; `params['W']` of itself."""
    text = ast.unparse(node)
    while True:
        shorter = re.sub(r"(\.data|\[[^\[\]'\"]*\])$", "", text)
        if shorter == text:
            return text
        text = shorter
