"""A gradient is a sum over paths: one or two of them are missing, counted twice, or have a wrong sign or factor."""

from collections.abc import Iterator
from itertools import combinations

import torch

from gradcheck.diagnosis.mistakes.branch import Branch, branches_of, plain, shown
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.constants import Constant, constants_of, fitted
from gradcheck.diagnosis.mistakes.mistake import Mistake, Prediction
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.writing import Edit, Spot
from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import distance

_MOST_NAMES = 72
_KINDS = {
    0.0: ("missing", "is missing"),
    2.0: ("doubled", "is counted twice"),
    -1.0: ("flipped", "has the wrong sign"),
}


def _edits(spot: Spot) -> Iterator[Edit]:
    """One more term. Products of names are found from the numbers: see `terms`."""
    context = spot.context
    for text, value in context.tensors[:_MOST_NAMES] if spot.is_whole else ():
        if tuple(value.shape) == context.shape:
            cost = 2.1 if value not in context.forward else 2.6
            yield spot.edit(cost, "x + a", a=text)
            yield spot.edit(cost + 0.1, "x - a", a=text)


def _predictions(case: Case) -> Iterator[Prediction]:
    if not case.first.fits:
        return
    branches = branches_of(case)
    yield from _one_branch(case, branches)
    yield from _only_one(case, branches)
    yield from _two_branches(case, branches)


def _one_branch(case: Case, branches: list[tuple[Branch, torch.Tensor]]) -> Iterator[Prediction]:
    scene = case.first
    for branch, part in branches:
        more = fitted(scene.found - scene.expected, part, scene)
        constant = _constant(case, 1 + more, scene.precision) if more is not None else None
        if constant is not None:
            yield _scaled(case, [(branch, constant)])


def _two_branches(case: Case, branches: list[tuple[Branch, torch.Tensor]]) -> Iterator[Prediction]:
    scene = case.first
    if scene.found.numel() < 3 or len(branches) < 2:
        return  # two free factors account for any two numbers
    difference = (scene.found - scene.expected).reshape(-1)
    parts = torch.stack([part.reshape(-1) for _, part in branches])
    products = (parts @ parts.T).tolist()
    wanted = (parts @ difference).tolist()
    size = float(difference @ difference)
    for i, j in combinations(range(len(branches)), 2):
        solved = _solved(products[i][i], products[i][j], products[j][j], wanted[i], wanted[j])
        if solved is None or abs(size - solved[0] * wanted[i] - solved[1] * wanted[j]) > 1e-8 * size:
            continue
        first, second = (_constant(case, 1 + more, 1e-7, named=True) for more in solved)
        if first is not None and second is not None:
            yield _scaled(case, [(branches[i][0], first), (branches[j][0], second)])


def _solved(aa: float, ab: float, bb: float, a: float, b: float) -> tuple[float, float] | None:
    """The least-squares solution for two columns, from their products with each other and with the right side."""
    determinant = aa * bb - ab * ab
    if determinant <= 1e-10 * aa * bb:
        return None  # the two are the same but for a factor
    return (bb * a - ab * b) / determinant, (aa * b - ab * a) / determinant


def _scaled(case: Case, branches: list[tuple[Branch, Constant]]) -> Prediction:
    def predict(scene: Scene) -> torch.Tensor | None:
        total = scene.expected
        for branch, constant in branches:
            part = branch.part(scene)
            if part is None:
                return None
            total = total + (constant.value - 1) * part
        return total

    def sentence(branch: Branch, constant: Constant) -> str:
        if constant.value in _KINDS:
            return f"{shown(case, branch)} {_KINDS[constant.value][1]}"
        why = f" ({constant.why})" if constant.why else ""
        return f"{shown(case, branch)} is {constant.text} times what it should be{why}"

    kinds = {_KINDS.get(constant.value, ("scaled",))[0] for _, constant in branches}
    return Prediction(
        f"{kinds.pop()}-branch" if len(kinds) == 1 else "wrong-branches",
        predict,
        lambda: ", and ".join(sentence(branch, constant) for branch, constant in branches),
        evidence={
            "branches": [
                {"through": plain(case, branch), "factor": constant.value, "factor_text": constant.text}
                for branch, constant in branches
            ]
        },
    )


def _constant(case: Case, factor: float, precision: float, named: bool = False) -> Constant | None:
    if abs(factor) <= max(precision, 1e-9):
        return Constant(0.0, "0")
    constants = constants_of(case)
    return constants.known(factor, precision) if named else constants.named_or_plain(factor, precision)


def _only_one(case: Case, branches: list[tuple[Branch, torch.Tensor]]) -> Iterator[Prediction]:
    """Of several uses of one value, a single one is left: `=` where `+=` was needed."""
    uses = case.segment.leaving(case.at)
    ops = sorted({edge.op for edge in uses}, key=lambda op: op.index)
    for branch, part in branches if len(ops) > 2 else ():
        through = branch.through
        edges = [e for e in uses if e.target is through] if isinstance(through, Value) else branch.edges
        if not edges or edges[0].source is not case.at or len(branch.edges) > 1:
            continue
        op = edges[0].op
        if distance(part, case.first.found) <= case.first.tolerance:
            which = "the last" if op is ops[-1] else "the first" if op is ops[0] else "one"
            yield Prediction(
                "not-accumulated",
                branch.part,
                "only {which} of the {count} uses of {x} counts ({where}); their gradients must be added up",
                {"which": which, "count": len(ops), "x": case.at, "where": op},
                {"uses": len(ops), "counted": which},
            )


MISTAKE = Mistake("path", _edits, _predictions)
