"""What a file divides by to get a mean."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import libcst as cst

from benchmarks.planted.scenes import plain, text


def divisors(unit_text: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    return tuple(name for name in _divided_by(unit_text) if name not in shapes)


@lru_cache(maxsize=64)
def _divided_by(unit_text: str) -> tuple[str, ...]:
    found: dict[str, None] = {}

    class Collector(cst.CSTVisitor):
        def visit_BinaryOperation(self, node: cst.BinaryOperation) -> None:  # noqa: N802 (LibCST's name)
            named = isinstance(node.operator, cst.Divide) and isinstance(
                node.right, (cst.Name, cst.Attribute)
            )
            if named and not _is_gain(node):
                found[plain(node.right)] = None

    cst.parse_module(unit_text).visit(Collector())
    return tuple(found)


def _is_gain(node: cst.BinaryOperation) -> bool:
    """`(2 / fan_in) ** 0.5` and `randn(..) / fan_in**0.5`: numbers of an initialisation, not of a batch."""
    return isinstance(node.left, (cst.Integer, cst.Float)) and text(node.left) not in ("1", "1.0")
