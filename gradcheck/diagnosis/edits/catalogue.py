"""All single edits of a tree, the cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gradcheck.diagnosis.edits import (
    calls,
    constants,
    everywhere,
    factors,
    names,
    operators,
    substitutions,
    templates,
    wraps,
)
from gradcheck.diagnosis.edits.context import Context, Edit
from gradcheck.diagnosis.evaluation import Tree

_Family = Callable[[Tree, Context], Iterator[Edit]]

EVERY: tuple[_Family, ...] = (
    constants.edits, operators.edits, names.edits, calls.edits, wraps.edits, templates.edits, factors.edits,
    substitutions.edits, everywhere.edits,
)  # fmt: skip
SLIPS: tuple[_Family, ...] = (constants.edits, operators.edits, calls.edits, names.edits, templates.edits)


def single_edits(tree: Tree, context: Context, families: tuple[_Family, ...] = EVERY) -> list[Edit]:
    return sorted((e for family in families for e in family(tree, context)), key=lambda e: e.cost)
