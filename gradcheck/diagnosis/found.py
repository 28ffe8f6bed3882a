"""What a search found: an edit, and its proof."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.diagnosis.evaluation import Tree
from gradcheck.diagnosis.patching import SitePatch
from gradcheck.diagnosis.proving import Proof
from gradcheck.diagnosis.sites import Site


@dataclass(frozen=True, slots=True)
class Found:
    """An edit that replay proved (or, with `proof.proved` false, that fits the recorded step only). Without `patches`
    it stands for no recorded op: a second name."""

    site: Site
    tree: Tree
    patches: dict[int, SitePatch]
    proof: Proof
    cost: float
    is_forward: bool = False
