"""A gradient is a sum over paths: one or two of them are missing, counted twice, or have a wrong sign or factor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import torch

from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.constants import Constant, constants_of, fitted
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.scene import Scene
from gradcheck.diagnosis.explanations.segment import Edge
from gradcheck.diagnosis.explanations.wording import described, gradient, is_named, line, name
from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import distance, norm
from gradcheck.replay.passes import Version

_MOST_BRANCHES = 32
_MOST_PAIRS = 40


@dataclass(frozen=True, slots=True)
class Branch:
    """The part of the gradient that comes through one value, through one step from a value to the next, or through
    two given steps."""

    through: Value | Edge | tuple[Edge, Edge]

    def part(self, scene: Scene) -> torch.Tensor | None:
        if isinstance(self.through, Value):
            return scene.through(self.through)
        if isinstance(self.through, tuple):
            first, last = self.through
            local = scene.local(last.op, last.source)
            reached = scene.pushed_to(first.target, last.source, local) if local is not None else None
            return scene.local_with(first.op, first.source, seed=reached) if reached is not None else None
        local = scene.local(self.through.op, self.through.source)
        return scene.pushed(self.through.source, local) if local is not None else None


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    if not case.first.fits:
        return
    branches = branches_of(case)
    yield from _one_branch(case, branches)
    yield from _only_one(case, branches)
    yield from _two_branches(case, branches)
    yield from _extra(case)
    yield from _with_value_itself(case)


def branches_of(case: Case) -> list[tuple[Branch, torch.Tensor]]:
    """All different parts, the most telling first: named values near the gradient's own, then steps."""
    segment = case.segment
    values = sorted(segment.values, key=lambda v: not is_named(case, v))
    candidates: list[Value | Edge | tuple[Edge, Edge]] = [*values, *segment.edges]
    starts = segment.leaving(case.at)
    if len(starts) > 1:
        later = [edge for edge in segment.edges if edge.source is not case.at]
        candidates += [
            (first, last)
            for first in starts
            for last in later
            if first.target.shape == first.source.shape and len(first.op.outputs) == 1
        ][:_MOST_PAIRS]
    found: list[tuple[Branch, torch.Tensor]] = []
    scene = case.first
    for candidate in candidates:
        if len(found) >= _MOST_BRANCHES:
            break
        part = Branch(candidate).part(scene)
        if part is None or norm(part) <= scene.tolerance or distance(part, scene.expected) <= scene.tolerance:
            continue
        if not any(distance(part, other) <= scene.tolerance for _, other in found):
            found.append((Branch(candidate), part))
    return found


def _one_branch(case: Case, branches: list[tuple[Branch, torch.Tensor]]) -> Iterator[Hypothesis]:
    scene = case.first
    for branch, part in branches:
        more = fitted(scene.found - scene.expected, part, scene)
        if more is None:
            continue
        constant = _constant(case, 1 + more, scene.precision)
        if constant is not None:
            yield _scaled(case, [(branch, constant)])


def _two_branches(case: Case, branches: list[tuple[Branch, torch.Tensor]]) -> Iterator[Hypothesis]:
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
        first, second = branches[i][0], branches[j][0]
        factors = [_constant(case, 1 + more, 1e-7, named=True) for more in solved]
        if factors[0] is not None and factors[1] is not None:
            yield _scaled(case, [(first, factors[0]), (second, factors[1])])


def _solved(aa: float, ab: float, bb: float, a: float, b: float) -> tuple[float, float] | None:
    """The least-squares solution for two columns, from their products with each other and with the right side."""
    determinant = aa * bb - ab * ab
    if determinant <= 1e-10 * aa * bb:
        return None  # the two are the same but for a factor
    return (bb * a - ab * b) / determinant, (aa * b - ab * a) / determinant


def _only_one(case: Case, branches: list[tuple[Branch, torch.Tensor]]) -> Iterator[Hypothesis]:
    """Of several uses of one value, a single one is left: `=` where `+=` was needed."""
    scene = case.first
    uses = case.segment.leaving(case.at)
    if len({edge.op for edge in uses}) < 3:
        return
    for branch, part in branches:
        edge = branch.through
        if isinstance(edge, Value):
            edge = next((e for e in uses if e.target is edge), edge)
        if (
            isinstance(edge, Edge)
            and edge.source is case.at
            and distance(part, scene.found) <= scene.tolerance
        ):
            count = len({e.op for e in uses})
            last = edge.op is max((e.op for e in uses), key=lambda op: op.index)
            first = edge.op is min((e.op for e in uses), key=lambda op: op.index)
            which = "the last" if last else "the first" if first else "one"
            yield Hypothesis(
                "not-accumulated",
                branch.part,
                lambda which=which, count=count, edge=edge: (  # type: ignore[misc]
                    f"only {which} of the {count} uses of {name(case, case.at)} counts ({line(case, edge.op)}); "
                    "their gradients must be added up"
                ),
                {"uses": count, "counted": which},
            )


def _extra(case: Case) -> Iterator[Hypothesis]:
    """The right gradient and, besides, another gradient that no path brings here."""
    scene = case.first
    for version in case.earlier:
        other = scene.captured(version)
        if other is None or other.shape != scene.expected.shape or norm(other) <= scene.tolerance:
            continue
        factor = fitted(scene.found - scene.expected, other, scene)
        if factor is None or abs(abs(factor) - 1) > scene.precision:
            continue
        sign = 1.0 if factor > 0 else -1.0
        yield Hypothesis(
            "extra-branch",
            _with_extra(version, sign),
            lambda version=version, sign=sign: (  # type: ignore[misc]
                f"it is the right gradient with {gradient(case, version)} "
                f"{'added to' if sign > 0 else 'subtracted from'} it once too often"
            ),
            {"extra": version.candidate.name, "sign": sign},
        )


def _with_value_itself(case: Case) -> Iterator[Hypothesis]:
    """Weight decay that the loss knows nothing of."""
    scene = case.first
    factor = fitted(scene.found - scene.expected, scene.tensor(case.at), scene)
    if factor is None or abs(factor) < 1e-12:
        return
    constant = constants_of(case).named_or_plain(factor, 1e-7)
    if constant is not None:
        yield Hypothesis(
            "extra-term",
            lambda s: s.expected + constant.value * s.tensor(case.at),
            lambda: (
                f"besides the right gradient it holds {constant.value:g} times {name(case, case.at)} itself, as for "
                f"weight decay; the loss has no such term"
            ),
            {"factor": constant.value},
        )


def _with_extra(version: Version, sign: float) -> Callable[[Scene], torch.Tensor | None]:
    def predict(scene: Scene) -> torch.Tensor | None:
        other = scene.captured(version)
        return scene.expected + sign * other if other is not None else None

    return predict


def _constant(case: Case, factor: float, precision: float, named: bool = False) -> Constant | None:
    if abs(factor) <= max(precision, 1e-9):
        return Constant(0.0, "0")
    constants = constants_of(case)
    if named:
        return constants.known(factor, precision)
    return constants.named_or_plain(factor, precision)


def _scaled(case: Case, branches: list[tuple[Branch, Constant]]) -> Hypothesis:
    def predict(scene: Scene) -> torch.Tensor | None:
        total = scene.expected
        for branch, constant in branches:
            part = branch.part(scene)
            if part is None:
                return None
            total = total + (constant.value - 1) * part
        return total

    kinds = {_kind(constant) for _, constant in branches}
    return Hypothesis(
        f"{kinds.pop()}-branch" if len(kinds) == 1 else "wrong-branches",
        predict,
        lambda: ", and ".join(_sentence(case, branch, constant) for branch, constant in branches),
        {
            "branches": [
                {"through": plain(case, branch), "factor": constant.value, "factor_text": constant.text}
                for branch, constant in branches
            ]
        },
    )


def _kind(constant: Constant) -> str:
    return {0.0: "missing", 2.0: "doubled", -1.0: "flipped"}.get(constant.value, "scaled")


def _sentence(case: Case, branch: Branch, constant: Constant) -> str:
    along = path(case, branch)
    verdict = {
        0.0: "is missing",
        2.0: "is counted twice",
        -1.0: "has the wrong sign",
    }.get(constant.value)
    if verdict is not None:
        return f"{along} {verdict}"
    why = f" ({constant.why})" if constant.why else ""
    return f"{along} is {constant.text} times what it should be{why}"


def path(case: Case, branch: Branch) -> str:
    through = branch.through
    if isinstance(through, Value):
        return f"the path through {described(case, through)}"
    if isinstance(through, tuple):
        first, last = through
        return (
            f"the direct path from {name(case, first.source)} by {name(case, first.target)} to "
            f"{name(case, last.target)} ({line(case, last.op)})"
        )
    if through.source is case.at and not is_named(case, through.target):
        return f"the path through {described(case, through.target)}"
    return (
        f"the direct path from {name(case, through.source)} to {name(case, through.target)} "
        f"({line(case, through.op)})"
    )


def plain(case: Case, branch: Branch) -> str:
    through = branch.through
    shown = case.judgement.names.shown
    if isinstance(through, Value):
        return shown(through)
    edges = list(through) if isinstance(through, tuple) else [through]
    return " -> ".join([shown(edges[0].source), *dict.fromkeys(shown(edge.target) for edge in edges)])
