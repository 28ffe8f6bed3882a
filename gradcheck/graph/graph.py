"""The graph of a recording: nodes in program order, and which version of each tensor object they read and make.

A tensor object has a new version after every write to the memory it lies in, through whatever name. A view is taken again
from the version of its base; a write through a view is a new version of the base, and so of all its other views.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.lower import node_of
from gradcheck.graph.node import Node, Role


@dataclass(frozen=True, slots=True)
class Version:
    """`value` after `number` of the writes to its memory; `node` made it, as its result or by a write; None for a leaf.
    Versions are equal if they are the same."""

    value: Value
    number: int
    node: Node | None


class Graph:
    def __init__(self, ops: Iterable[Op]) -> None:
        self.nodes: list[Node] = [node_of(op) for op in ops]
        self._node: dict[Op, Node] = {node.event: node for node in self.nodes}
        self._bases: dict[
            Value, list[tuple[int, Value]]
        ] = {}  # of a view or a rebound tensor: from when, its base
        self._writes: dict[Value, list[Node]] = {}  # by base, in order
        for node in self.nodes:
            self._enter(node)

    def _enter(self, node: Node) -> None:
        if node.role is Role.VIEW:
            base = self.base(node.args[0], node.index)
            for value in node.outputs:
                self._bases.setdefault(value, []).append((node.index, base))
        elif node.role is Role.REBIND:
            target, source = node.args[:2]
            self._bases.setdefault(target, []).append((node.index, self.base(source, node.index)))
        elif node.role in (Role.WRITE, Role.FILL):
            for base in dict.fromkeys(self.base(value, node.index) for value in node.writes):
                self._writes.setdefault(base, []).append(node)

    def base(self, value: Value, moment: int) -> Value:
        """The tensor object whose memory `value` lies in, after op `moment`."""
        found = self._bases.get(value, ())
        position = bisect_right(found, moment, key=lambda entry: entry[0])
        return found[position - 1][1] if position else value

    def version(self, value: Value, moment: int) -> Version:
        """What `value` was after op `moment`."""
        writes = self._writes.get(self.base(value, moment), ())
        number = bisect_right(writes, moment, key=lambda node: node.index)
        node = writes[number - 1] if number else None
        made = self._node.get(value.producer) if value.producer is not None else None
        if made is not None and made.index <= moment and (node is None or node.index < made.index):
            node = made
        return Version(value, number, node)

    def reads(self, node: Node) -> list[Version]:
        """The versions a node is computed from."""
        return [self.version(value, node.index - 1) for value in node.inputs]

    def makes(self, node: Node) -> list[Version]:
        """The versions that are there only after it."""
        return [self.version(value, node.index) for value in dict.fromkeys((*node.outputs, *node.writes))]

    def writes_between(self, value: Value, start: int, stop: int) -> list[Node]:
        """The writes that changed `value` after op `start` and before op `stop`."""
        writes = self._writes.get(self.base(value, stop - 1), [])
        first = bisect_right(writes, start, key=lambda node: node.index)
        return writes[first : bisect_left(writes, stop, key=lambda node: node.index)]
