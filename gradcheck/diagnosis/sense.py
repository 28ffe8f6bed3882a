"""Edits that fit and yet cannot be what was meant: no replay refutes them, the way programs are written does."""

import ast
from collections.abc import Iterator

from gradcheck.diagnosis.attempts import Attempt
from gradcheck.diagnosis.evaluation import CannotEvaluateError, Tree
from gradcheck.diagnosis.mistakes.arguments import plain_numbers
from gradcheck.diagnosis.mistakes.writing import constant_of
from gradcheck.diagnosis.namespace import BindingIndex
from gradcheck.diagnosis.sites import Execution, Site
from gradcheck.diagnosis.syntax import exchanged, expressions
from gradcheck.program.reading.reader import UnknownNameError
from gradcheck.replay.passes import PassPlan

_PATHS = (ast.Name, ast.Attribute, ast.Subscript)
_ANOTHER = 1.1  # times a number: near enough to fit where any number does, as the bound of a clamp that nothing reaches
_MOST_RUNS = 8  # of a line in a loop, looked at to see what changes from one to the next


class Sense:
    """For the edits of one pass."""

    def __init__(self, plan: PassPlan, index: BindingIndex) -> None:
        self._index = index
        forward = plan.forward_values
        self._gradients = {c.value.root for c in plan.candidates if c.value not in forward}
        self._numbers = {0.0, *(abs(number) for op in plan.forward_ops for number in plain_numbers(op))}
        self._updates = [update for update in plan.updates if update.op.index > plan.loss_op.index]

    def makes_sense(self, site: Site, edited: Tree) -> bool:
        """Whether the edit may be offered, if it is proved."""
        return not (
            self._holds_still(site, edited)
            or self.reads_too_late(site, edited)
            or _reads_what_it_makes(site, edited)
            or _numbers_multiplied(edited) > max(1, _numbers_multiplied(site.tree))
            or self._cancelled(site, edited) > self._cancelled(site, site.tree)
            or (self._reads_a_gradient(site, site.tree) and not self._reads_a_gradient(site, edited))
        )

    def is_arbitrary(self, attempt: Attempt, edited: Tree) -> bool:
        """Whether another number would do as well as one that is new here and that the forward pass does not compute
        with: what fits then says nothing about it."""
        known = {constant_of(node) for node in ast.walk(attempt.site.tree)} | self._numbers
        others = (
            exchanged(edited, path, ast.Constant(number * _ANOTHER))
            for path, node in expressions(edited)
            if (number := constant_of(node)) is not None and known.isdisjoint({number, abs(number)})
        )
        return any((outcome := attempt.tried(other)) is not None and outcome.fits for other in others)

    def _reads_a_gradient(self, site: Site, tree: Tree) -> bool:
        """A line that is handed a gradient has to be right for any (principle 3): an edit after which it reads none is
        right for the one of this loss alone."""
        try:
            reads = site.prepare(tree, site.own[0], self._index).reads
        except (CannotEvaluateError, IndexError):
            return True
        return any(value.root in self._gradients for value in reads)

    def _cancelled(self, site: Site, tree: Tree) -> int:
        """How many factors are divided by themselves, or by another size that is the same here: `kh / kw` is nothing but
        a 1, and right only as long as all kernels are square."""
        namespace = site.namespace(site.own[0], self._index)

        def what(node: ast.expr) -> object:
            held = namespace.known_as(node) if isinstance(node, _PATHS) else None
            return held if type(held) in (int, float) else ast.unparse(node)

        count = 0
        for product in (node for node in ast.walk(tree) if isinstance(node, ast.BinOp)):
            factors = [
                (what(node), below) for node, below in _factors(product) if not isinstance(node, ast.Constant)
            ]
            above = [held for held, below in factors if not below]
            count += sum(below and held in above for held, below in factors)
        return count

    def reads_too_late(self, site: Site, tree: Tree) -> bool:
        """Whether a parameter is read that this very step has updated before. No edit of the formula is the answer to
        that, even one that takes the update back out of the numbers."""
        if not self._updates:
            return False
        for execution in site.own:
            try:
                reads = site.prepare(tree, execution, self._index).reads
            except CannotEvaluateError:
                continue
            for update in self._updates:
                moved = update.parameter.root if update.in_place else update.op.out
                if update.op.index < execution.first and any(
                    value is moved or (update.in_place and value.root is moved) for value in reads
                ):
                    return True
        return False

    def _holds_still(self, site: Site, edited: Tree) -> bool:
        """Whether a line of a loop would no longer go with the loop: `a[1]` for `a[i]`. It is right for the one turn
        at which its gradient was found wrong, and for no other."""
        gone = list(_paths(site.tree, {id(node) for node in ast.walk(edited)}))
        come = list(_paths(edited, {id(node) for node in ast.walk(site.tree)}))
        if any(_pins_index(old, new) for old in gone for new in come):
            return True
        runs = site.executions[:_MOST_RUNS]
        if len(runs) < 2 or not come:
            return False
        return any(self._varies(site, node, runs) for node in gone) and not any(
            self._varies(site, node, runs) for node in come
        )

    def _varies(self, site: Site, node: ast.expr, runs: list[Execution]) -> bool:
        """Whether a name refers to different things when the line is run again."""
        held = []
        for execution in runs:
            try:
                held.append(site.namespace(execution, self._index).resolve(node))
            except UnknownNameError:
                return False
        first = held[0]
        if isinstance(first, (int, float)):
            return any(other != first for other in held)
        return any(other is not first for other in held)


def _reads_what_it_makes(site: Site, edited: Tree) -> bool:
    """Whether it reads the name that its statement gives to the result: the first time that it runs, there is none."""
    targets = site.statement.targets if isinstance(site.statement, ast.Assign) else []
    made = {target.id for target in targets if isinstance(target, ast.Name)}
    return bool(made & (_loaded(edited) - _loaded(site.statement)))


def _loaded(tree: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _numbers_multiplied(tree: ast.AST) -> int:
    """How many fractions written as numbers one product holds: `0.01 / 0.1` is one that happens to come out right."""
    products = (_factors(node) for node in ast.walk(tree) if isinstance(node, ast.expr))
    numbers = ([constant_of(factor) or 0 for factor, _ in product] for product in products)
    return max((sum(number % 1 != 0 for number in product) for product in numbers), default=0)


def _factors(node: ast.expr, below: bool = False) -> Iterator[tuple[ast.expr, bool]]:
    """Those of a product, and whether it is divided by them."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        yield from _factors(node.left, below)
        yield from _factors(node.right, below != isinstance(node.op, ast.Div))
    else:
        yield node, below


def _paths(tree: ast.AST, shared: set[int]) -> Iterator[ast.expr]:
    """The names, attributes and items in a tree that are not in the other one."""
    if id(tree) in shared:
        return
    if isinstance(tree, _PATHS):
        yield tree
    for child in ast.iter_child_nodes(tree):
        yield from _paths(child, shared)


def _pins_index(old: ast.expr, new: ast.expr) -> bool:
    """`a[1]` for `a[i]`: an item that was counted through, picked out by a number."""
    if not isinstance(old, ast.Subscript) or not isinstance(new, ast.Subscript):
        return False
    if ast.unparse(old.value) != ast.unparse(new.value):
        return False
    named = any(isinstance(node, ast.Name) for node in ast.walk(old.slice))
    return named and not any(isinstance(node, ast.Name) for node in ast.walk(new.slice))
