"""What a call returned, in a few bytes taken when it is recorded: a replay in the same types has to reproduce them.

They are read where the numbers are in memory, since a torch call that would do so costs several times as much. A small
result is kept whole. Of a large one, pieces are kept that lie at equal distances.
"""

import ctypes
from typing import Any, NamedTuple

import torch

WHOLE = 8192  # bytes: a result of at most so many is kept whole
PIECES, PIECE = 8, 128  # of a larger one, so many pieces of so many bytes are kept
_TENSORS = (torch.Tensor, torch.nn.Parameter)
_arrays: dict[int, Any] = {}  # by number of bytes, the type of such an array in memory


class Fingerprint(NamedTuple):
    """Of the bytes of a tensor, in the order of its indices, all or some."""

    dtype: torch.dtype
    size: int  # of the tensor, in bytes
    kept: bytes

    @property
    def whole(self) -> bool:
        return len(self.kept) == self.size


Fingerprints = Fingerprint | tuple["Fingerprints | None", ...]  # of one result, or of several


def fingerprint(result: Any, whole: int = WHOLE) -> Fingerprints | None:
    """Of a tensor, or of each of several; None if its numbers cannot be read from memory."""
    kind = type(result)
    if kind not in _TENSORS:
        if isinstance(result, (tuple, list)):
            return tuple([fingerprint(each, whole) for each in result[:PIECES]]) or None
        return None
    if result.layout is not torch.strided or not result.is_cpu:
        return None
    if not result.is_contiguous():
        if result.nbytes > whole:
            return None
        result = result.detach().contiguous()
    try:
        address = result.data_ptr()
    except RuntimeError:  # the wrappers of a transform have no memory
        return None
    if not address:  # without elements
        return None
    size = result.nbytes
    if size <= whole:
        array = _arrays.get(size) or _array(size)
        return tuple.__new__(Fingerprint, (result.dtype, size, array.from_address(address).raw))
    array = _arrays.get(PIECE) or _array(PIECE)
    kept = b"".join([array.from_address(address + start).raw for start in _starts(size)])
    return Fingerprint(result.dtype, size, kept)


def put_back(kept: Fingerprint, tensor: torch.Tensor) -> None:
    """Let the numbers of a contiguous tensor be those that were kept, where they were."""
    numbers, flat = torch.frombuffer(bytearray(kept.kept), dtype=kept.dtype), tensor.reshape(-1)
    if kept.whole:
        flat.copy_(numbers)
        return
    for start, piece in zip(
        _starts(kept.size), torch.split(numbers, PIECE // kept.dtype.itemsize), strict=True
    ):
        first = start // kept.dtype.itemsize
        flat[first : first + len(piece)] = piece


def _starts(size: int) -> range:
    """Where the pieces of so many bytes lie."""
    apart = (size - PIECE) // (PIECES - 1) // PIECE * PIECE or PIECE
    return range(0, min(size - PIECE, PIECES * apart) + 1, apart)


def _array(size: int) -> Any:
    if len(_arrays) > 10_000:
        _arrays.clear()
    found = _arrays[size] = ctypes.c_char * size
    return found
