"""One piece of source that is understood, and what an edit of it does to the gradient."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gradcheck.diagnosis.clock import Clock
from gradcheck.diagnosis.evaluation import CannotEvaluateError, Tree
from gradcheck.diagnosis.mistakes.terms import missing_terms
from gradcheck.diagnosis.mistakes.writing import Context, Edit, written
from gradcheck.diagnosis.sites import Site
from gradcheck.diagnosis.syntax import Path, exchanged, expressions
from gradcheck.diagnosis.trial import Trial
from gradcheck.replay.compare import differentiable, distance, inner, norm

_SMALLEST_COEFFICIENT = 1e-9  # a term to be left out is another edit
_NO_CHANGE = 1e-9  # a coefficient this close to 1 is there already


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the gradient that an edit gives compares with the one it should give."""

    fits: bool
    factor: float | None  # the gradient would be right if multiplied with this
    residual: float  # of the best multiple, relative: 0 right but for a factor, 1 nothing in common


@dataclass(eq=False)
class Attempt:
    """A site at one setting, with what edits of it may use."""

    site: Site
    trial: Trial
    context: Context

    def tried(self, tree: Tree) -> Outcome | None:
        """What the piece would do if it read so; None if it does not run, or not to a gradient of this shape."""
        try:
            found, reads = self.trial.result(tree)
        except CannotEvaluateError:
            return None
        expected = self.trial.expected(reads)
        if expected is None or found.shape != expected.shape or not differentiable(found):
            return None
        if not bool(torch.isfinite(found).all()):
            return None
        tolerance = self.trial.tolerance(expected)
        size, wanted = norm(found), norm(expected)
        if distance(found, expected) <= tolerance:
            # A gradient that is zero by invariance must come out as such a zero, not as a plain one.
            return Outcome(wanted > tolerance or size > 0, None, 0.0)
        if size == 0 or wanted <= tolerance:
            return Outcome(False, None, 1.0)
        factor = inner(found, expected) / size**2
        left = distance(factor * found, expected)
        if left <= tolerance and factor != 0:
            return Outcome(False, factor, 0.0)
        return Outcome(False, None, left / wanted)

    def with_missing_term(self, clock: Clock) -> Iterator[Edit]:
        """The piece with one more term, for each that would make up for what is lacking."""
        tree = self.site.tree
        if not isinstance(tree, ast.expr) or not self.trial.is_direct:
            return
        try:
            found, reads = self.trial.result(tree)
        except CannotEvaluateError:
            return
        expected = self.trial.expected(reads)
        if expected is None or expected.shape != found.shape:
            return
        tolerance = self.trial.tolerance(expected)
        yield from missing_terms(
            tree, expected - found, tolerance, self.context, self.trial.tensor_of, lambda: clock.is_over
        )

    def coefficient(self, tree: Tree, path: Path, node: ast.expr) -> float | None:
        """The number by which an operand has to be multiplied for the gradient to be right; None if there is none."""
        without = exchanged(tree, path, written("x * 0", x=node))
        try:
            one, reads = self.trial.result(tree)
            nothing, _ = self.trial.result(without)
        except CannotEvaluateError:
            return None
        expected = self.trial.expected(reads)
        if expected is None or one.shape != expected.shape or nothing.shape != expected.shape:
            return None
        share, wanted = one - nothing, expected - nothing
        size = norm(share)
        if not 0 < size < float("inf") or not bool(torch.isfinite(wanted).all()):
            return None
        factor = inner(share, wanted) / size**2
        if abs(factor) <= _SMALLEST_COEFFICIENT or abs(factor - 1) <= _NO_CHANGE:
            return None
        return factor if distance(factor * share, wanted) <= self.trial.tolerance(expected) else None


def operands(tree: Tree) -> Iterator[tuple[Path, ast.expr]]:
    """What may have a coefficient of its own: terms of sums, and arguments of calls such as `torch.where`."""
    for path, node in expressions(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            yield (*path, ("left", None)), node.left
            yield (*path, ("right", None)), node.right
        elif isinstance(node, ast.Call):
            for i, argument in enumerate(node.args):
                if not isinstance(argument, ast.Starred):
                    yield (*path, ("args", i)), argument
        elif isinstance(tree, ast.AugAssign) and path == (("value", None),):
            yield path, node
