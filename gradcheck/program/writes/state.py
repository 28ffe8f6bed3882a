"""Which private folder holds this process's writes, and for whom."""

import threading
import weakref
from dataclasses import dataclass, field

from gradcheck.program.writes.tree import Tree, means_real_files


@dataclass(slots=True)
class State:
    """`tree` is None while nothing is held back. Threads that outlive their program stay with its folder; those that
    were there before it are not its own. `lasting`: in a process of ours, in whose `folder` the private one is made,
    writes are held back from the program's start to the end of the process."""

    tree: Tree | None = None
    left: weakref.WeakKeyDictionary[threading.Thread, Tree] = field(default_factory=weakref.WeakKeyDictionary)
    others: weakref.WeakSet[threading.Thread] = field(default_factory=weakref.WeakSet)
    folder: str = ""
    lasting: bool = False
    kept: object = None  # what would end it

    def current(self) -> Tree | None:
        """What a call of this thread is redirected by, now."""
        if (self.tree is None and not self.left) or means_real_files():
            return None
        thread = threading.current_thread()
        if self.left and (tree := self.left.get(thread)) is not None:
            return tree
        return None if thread in self.others else self.tree


STATE = State()
