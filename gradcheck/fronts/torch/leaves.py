"""The leaves of a recording: the tensors that no recorded op made, kept as they were when they were first met."""

from collections.abc import Iterator
from typing import Any

import torch

from gradcheck.fronts.fingerprint import fingerprint
from gradcheck.fronts.tape import Value

# Numbers in a tensor that is copied when recording pauses: 16 MB in float32, more than most parameters hold. Data sets
# are larger, and no program changes them in place as a rule; whether it did is seen from their version.
_MOST_COPIED = 2**22
# Bytes up to which a leaf that was changed unseen can be put back as it was.
_KEPT_WHOLE = 2**20


class Leaves:
    """A leaf is an alias of the program's tensor, which is copied just before its storage is changed in place. Its fingerprint
    tells whether it was changed unseen."""

    def __init__(self) -> None:
        self._by_storage: dict[int | None, list[Value]] = {}
        self._unwatched: list[tuple[Value, int]] = []
        self._counted: list[Value] | None = None  # leaves met since counting began
        self._bytes = 0  # of those met since it was last looked at what they hold

    def keep(self, value: Value, tensor: torch.Tensor) -> None:
        """Keep the tensor as it is now."""
        value.data = tensor.detach()
        value.fingerprint = fingerprint(tensor, _KEPT_WHOLE)
        if self._counted is not None and tensor.layout is torch.strided:
            self._counted.append(value)
            self._bytes += tensor.nbytes
        key = storage_of(tensor)
        if key is None:
            return
        kept = self._by_storage.get(key)
        # Leaves that were given up hold no storage any more, and its address may have been used again.
        if kept is None or (kept[0].data is None and kept[-1].data is None):
            self._by_storage[key] = [value]
            return
        if value.producer is None:
            value.root = kept[0].root
        kept.append(value)

    def before_change(self, tensor: torch.Tensor) -> None:
        """Copy those that share the storage of `tensor`."""
        for leaf in self._by_storage.pop(storage_of(tensor), ()):
            if leaf.data is not None:
                leaf.data = leaf.data.clone()

    def let_go(self, tensor: torch.Tensor) -> None:
        """Nobody needs to copy those that share the storage of `tensor` any more."""
        self._by_storage.pop(storage_of(tensor), None)

    def secure(self) -> None:
        """Copy whatever the program may change. Of what is too large for that, keep which version it is."""
        for leaves in self._by_storage.values():
            for leaf in leaves:
                data = leaf.data
                if data is None:
                    continue
                if data.numel() <= _MOST_COPIED:
                    leaf.data = data.clone()
                else:
                    self._unwatched.append((leaf, data._version))
        self._by_storage.clear()

    def drop_changed(self) -> int:
        """What was too large to copy and was changed is not known as it was; how many leaves that is."""
        changed = [
            leaf
            for leaf, version in self._unwatched
            if leaf.data is not None and leaf.data._version != version
        ]
        for leaf in changed:
            leaf.data = None
        self._unwatched.clear()
        return len(changed)

    def keep_for_good(self) -> None:
        with torch.no_grad():
            for leaves in self._by_storage.values():
                for leaf in leaves:
                    if leaf.data is not None:
                        leaf.data = leaf.data.clone()
        self._by_storage.clear()

    def count(self, yes: bool) -> None:
        """Whether to add up what leaves hold from now on."""
        self._counted, self._bytes = [] if yes else None, 0

    def holds_more_than(self, most_bytes: int) -> bool:
        """Whether the counted leaves hold more that nobody but the tape has kept."""
        if self._counted is None or self._bytes <= most_bytes // 4:
            return False
        self._bytes = 0  # counts up to the next time it is worth looking
        alone = (v.data for v in self._counted if v.reference is None or v.reference() is None)
        return sum(data.nbytes for data in alone if data is not None) > most_bytes


def storage_of(tensor: torch.Tensor) -> int | None:
    """What distinguishes storages as long as something holds them; None for a tensor without one (sparse)."""
    try:
        key: int = tensor.untyped_storage().data_ptr()  # the same, whichever library wrapped that memory
    except (RuntimeError, NotImplementedError):
        return None
    return key or None


def tensors_in(thing: Any) -> Iterator[torch.Tensor]:
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, (tuple, list)):
        for item in thing:
            yield from tensors_in(item)
