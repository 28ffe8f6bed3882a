"""What a search found: an edit, and its proof."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.proving import Proof
from gradcheck.diagnosis.sites import Site
from gradcheck.diagnosis.syntax import TextChange
from gradcheck.ops import NO_COMPUTATION, operation_called
from gradcheck.replay.runner import Patch


@dataclass(frozen=True)
class Found:
    """An edit that replay proved (or, with `proof.proved` false, that fits the recorded step only). Without `patches`
    no recorded op belongs to it: a second name. A line that is moved reads as before: its `change` and the `advice`
    in words are given, and `moved` gives the op after which the result of each of its runs is known, by that of the
    recording."""

    site: Site
    tree: Tree
    patches: Mapping[int, Patch]
    proof: Proof
    cost: float
    forward: tuple[str, str] | None = None  # of a forward line: what is wrong with it, and what the edit does
    moved: Mapping[int, int] = field(default_factory=dict)
    change: TextChange | None = None
    advice: str = ""

    @property
    def is_move(self) -> bool:
        return self.change is not None

    @property
    def text_change(self) -> TextChange | None:
        """The edit as a change of the person's text; None if it cannot be written as one."""
        return self.change or self.deletion or self.site.rewriter.change(self.tree)

    @cached_property
    def deletion(self) -> TextChange | None:
        """Of the whole statement, where with the edit it would give a name what that name holds already."""
        statement = self.site.statement
        if self.change is not None or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return None
        target = statement.targets[0]
        if statement.value is not self.site.tree or not isinstance(target, ast.Name):
            return None
        left = _what_is_copied(self.tree)
        if not isinstance(left, ast.Name) or left.id != target.id:
            return None
        return self.site.deletion


def _what_is_copied(tree: Tree) -> Tree:
    """`x` of `x.contiguous()`."""
    while (
        isinstance(tree, ast.Call)
        and isinstance(tree.func, ast.Attribute)
        and operation_called(tree.func.attr) in NO_COMPUTATION
    ):
        tree = tree.func.value
    return tree
