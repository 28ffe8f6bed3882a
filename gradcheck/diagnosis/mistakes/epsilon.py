"""The small number that keeps a root or a quotient from zero: left out, on the wrong side of the root, or another."""

import ast
import copy
from collections.abc import Callable, Iterator

import torch

from gradcheck import ops
from gradcheck.base import numbers
from gradcheck.diagnosis.mistakes.arguments import plain_numbers
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Mistake, Predict, Prediction
from gradcheck.diagnosis.mistakes.predicting import with_step
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.segment import Edge
from gradcheck.diagnosis.mistakes.writing import Edit, Spot, written
from gradcheck.fronts.tape import Op, Value

_LARGEST = 0.02
_USUAL = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)

Changed = Callable[[Scene], dict[Value, torch.Tensor]]


# -- edits -----------------------------------------------------------------------------------------------------------


def _edits(spot: Spot) -> Iterator[Edit]:
    """`(v + eps)**p` and `v**p + eps`; `sqrt(v + eps)` and `sqrt(v) + eps`; and none at all."""
    node = spot.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and (added := _sum(node.left)):
        yield spot.edit(1.6, "v**p + eps", v=added.left, p=node.right, eps=added.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        root = node.left
        if isinstance(root, ast.BinOp) and isinstance(root.op, ast.Pow):
            yield spot.edit(1.6, "(v + eps)**p", v=root.left, p=root.right, eps=node.right)
        if isinstance(root, ast.Call) and (inside := _under(root)) is not None:
            yield spot.edit(1.6, _root_of(root, written("v + eps", v=inside, eps=node.right)))
    if isinstance(node, ast.Call) and (added := _sum(_under(node))):
        yield spot.edit(1.6, "root + eps", root=_root_of(node, added.left), eps=added.right)
    if isinstance(spot.held, Value) and spot.path and not spot.inside and not spot.indexing:
        for literal in spot.context.literals:
            if 0 < literal < _LARGEST:
                yield spot.edit(1.5, "x + eps", eps=repr(literal))


def _sum(node: ast.expr | None) -> ast.BinOp | None:
    return node if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) else None


def _under(node: ast.Call) -> ast.expr | None:
    """What a root is taken of: `v` of `v.sqrt()` and of `torch.sqrt(v)`."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in ("sqrt", "rsqrt"):
        return None
    return node.args[0] if node.args else node.func.value


def _root_of(node: ast.Call, inside: ast.expr) -> ast.Call:
    changed = copy.copy(node)
    if node.args:
        changed.args = [inside, *node.args[1:]]
    else:
        assert isinstance(node.func, ast.Attribute)
        changed.func = ast.Attribute(inside, node.func.attr, ast.Load())
    return changed


# -- predictions -----------------------------------------------------------------------------------------------------


def _predictions(case: Case) -> Iterator[Prediction]:
    for op in case.segment.ops if case.first.fits else ():
        epsilon = _epsilon(op)
        if epsilon is None:
            continue
        source = op.inputs[0]
        for root in case.segment.ops:
            if op.out in root.inputs and (power := _root_power(root)) is not None:
                yield from _with(
                    case,
                    root,
                    lambda s, v=source, e=epsilon, p=power: (s.tensor(v).sqrt() + e) ** (2 * p),  # type: ignore[misc]
                    "{eps} is added to the root of {x}; the forward pass adds it under the root ({where})",
                    op,
                )
        root_before = source.producer
        if root_before is not None and _root_power(root_before) == 0.5 and root_before.inputs:
            yield from _with(
                case,
                op,
                lambda s, v=root_before.inputs[0], e=epsilon: (s.tensor(v) + e).sqrt(),  # type: ignore[misc]
                "{eps} is added under the root; the forward pass adds it to the root, {x} ({where})",
                op,
            )
        for other in (0.0, *_USUAL):
            sentence = "{other} is added to {x} where the forward pass adds {eps} ({where})"
            if abs(other - epsilon) > 1e-6 * epsilon:
                yield from _with(
                    case,
                    op,
                    lambda s, v=source, e=other: s.tensor(v) + e,  # type: ignore[misc]
                    sentence if other else "the {eps} added to {x} ({where}) is left out",
                    op,
                    other,
                )


def _epsilon(op: Op) -> float | None:
    if op.operation is not ops.ADD or len(op.inputs) != 1 or not isinstance(op.out, Value):
        return None
    given = plain_numbers(op)
    return given[0] if len(given) == 1 and 0 < given[0] <= _LARGEST else None


def _root_power(op: Op) -> float | None:
    if op.operation in (ops.SQRT, ops.RSQRT):
        return 0.5 if op.operation is ops.SQRT else -0.5
    powers = plain_numbers(op) if op.operation is ops.POW else []
    return powers[-1] if powers and abs(powers[-1]) == 0.5 else None


def _with(
    case: Case,
    changed_op: Op,
    result: Callable[[Scene], torch.Tensor],
    sentence: str,
    add: Op,
    other: float = 0.0,
) -> Iterator[Prediction]:
    """As if one op had given another result. In a formula made of the forward pass's own values the change is in one
    factor; in one that computes them again, in everything that follows."""
    epsilon = _epsilon(add)
    known: dict[Scene, dict[Value, torch.Tensor]] = {}

    def changed(scene: Scene) -> dict[Value, torch.Tensor]:
        if scene not in known:
            known[scene] = scene.computed_along(case.segment.ops, {}, {changed_op: result(scene)})
        return known[scene]

    predictions = [
        # Of the changed value in the formula: one, or its cube in a fused one.
        *(_in_factor(changed, value, power) for value in case.segment.values for power in (1, -1, 3, -3)),
        *(_in_step(changed, edge) for edge in case.segment.edges),
    ]
    parts = {"eps": numbers.value(epsilon), "other": numbers.value(other), "x": add.inputs[0], "where": add}
    for predict in predictions:
        yield Prediction("misplaced-epsilon", predict, sentence, parts, {"epsilon": epsilon})


def _in_factor(changed: Changed, value: Value, power: int) -> Predict:
    """As if everything had been multiplied with the changed value instead of the right one."""

    def predict(scene: Scene) -> torch.Tensor | None:
        other = changed(scene).get(value)
        if other is None:
            return None
        try:
            found = scene.expected * (other / scene.tensor(value)) ** power
        except RuntimeError:
            return None
        return found if found.shape == scene.expected.shape else None

    return predict


def _in_step(changed: Changed, edge: Edge) -> Predict:
    """As if one step had been differentiated at the changed values."""

    def change(scene: Scene, local: torch.Tensor) -> torch.Tensor | None:
        others = changed(scene)
        arguments = {value: others[value] for value in edge.op.inputs if value in others}
        return scene.local_with(edge.op, edge.source, arguments=arguments) if arguments else None

    return with_step(edge, change)


MISTAKE = Mistake("epsilon", _edits, _predictions)
