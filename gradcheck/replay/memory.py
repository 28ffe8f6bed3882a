"""Which tensors of a run lie in the memory of which others, and which may be changed in place.

The graph is pure: a write makes a new version, and the old one stays what it was. A run makes that cheap. A write changes
the tensor in place where nobody needs the old version; where somebody does, the base is copied first, and its views are
taken again from the copy when they are next read. That holds for every view there is, at any size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from gradcheck.fronts.tape import Value
from gradcheck.graph.node import Node, Role


@dataclass(slots=True)
class Memory:
    """`base` says of a view whose memory it lies in, `maker` which node takes it again. `borrowed` are bases whose tensors
    belong to somebody else; `read` those that autograd may have kept for a derivative since they were last written."""

    base: dict[Value, Value] = field(default_factory=dict)
    maker: dict[Value, Node] = field(default_factory=dict)
    views: dict[Value, list[Value]] = field(default_factory=dict)
    borrowed: set[Value] = field(default_factory=set)
    read: set[Value] = field(default_factory=set)

    def copy(self) -> Memory:
        views = {base: list(those) for base, those in self.views.items()}
        return Memory(dict(self.base), dict(self.maker), views, set(self.borrowed), set(self.read))

    def base_of(self, value: Value) -> Value:
        return self.base.get(value, value)

    def add_view(self, value: Value, of: Value, maker: Node) -> None:
        base = self.base_of(of)
        if value in self.base:
            self.detach(value)
        self.base[value] = base
        self.maker[value] = maker
        self.views.setdefault(base, []).append(value)

    def detach(self, value: Value) -> None:
        """`value` has memory of its own from now on."""
        base = self.base.pop(value, None)
        if base is not None:
            del self.maker[value]
            self.views[base].remove(value)

    def abandon(self, base: Value) -> None:
        """`base` is another tensor from now on; what were its views keep the memory that they were in."""
        for view in self.views.pop(base, ()):
            del self.base[view], self.maker[view]
            self.borrowed.add(view)

    def is_needed(self, value: Value) -> bool:
        """Whether a view can still be taken from it."""
        return bool(self.views.get(value))

    def is_one_of_several(self, value: Value) -> bool:
        """Whether it is a view that was made together with others, or a view of one."""
        maker = self.maker.get(value)
        while maker is not None:
            if not isinstance(maker.out, Value):
                return maker.role is Role.VIEW
            maker = self.maker.get(maker.args[0]) if maker.role is Role.VIEW else None
        return False

    def stale_after_copy(self, base: Value) -> list[Value]:
        """The base has been copied, to be written to: the views that are to be taken again."""
        self.borrowed.discard(base)
        self.read.discard(base)
        return self.views.get(base, [])


def same_memory(left: object, right: object) -> bool:
    """Whether two results begin at the same place in memory."""
    if left is right:
        return True
    if not isinstance(left, torch.Tensor) or not isinstance(right, torch.Tensor):
        return False
    return left.layout is torch.strided is right.layout and left.data_ptr() == right.data_ptr() != 0
