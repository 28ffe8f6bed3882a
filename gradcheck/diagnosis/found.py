"""What a search found: an edit, and its proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.proving import Proof
from gradcheck.diagnosis.sites import Site
from gradcheck.diagnosis.syntax import TextChange
from gradcheck.replay.runner import Patch


@dataclass(frozen=True, slots=True)
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
    is_forward: bool = False
    moved: Mapping[int, int] = field(default_factory=dict)
    change: TextChange | None = None
    advice: str = ""

    @property
    def is_move(self) -> bool:
        return self.change is not None

    @property
    def text_change(self) -> TextChange | None:
        """The edit as a change of the person's text; None if it cannot be written as one."""
        return self.change or self.site.rewriter.change(self.tree)
