"""What NumPy computes where torch has no function that does just that."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map, tree_map_only


class UnknownFunctionError(Exception):
    """gradcheck does not know what a function computes."""


@cache
def unknown(name: str) -> Callable[..., Any]:
    """A call whose derivative nobody knows: what is computed from its result cannot be checked."""

    def call(*args: Any, **kwargs: Any) -> Any:
        raise UnknownFunctionError(f"gradcheck does not know what `{name}` computes")

    call.__name__ = call.__qualname__ = f"{name}()"  # no row of the vocabulary has a name like this
    return call


@cache
def as_integers(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy counts with truth values, as in `1 - labels`; torch refuses some of it."""

    if function is torch.where:  # its condition stays one
        return function

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*(a.long() if getattr(a, "dtype", None) is torch.bool else a for a in args), **kwargs)

    call.__name__ = call.__qualname__ = getattr(function, "__name__", "")
    return call


@cache
def as_floats(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy computes with integers as with floats of 64 bits; so do both operands where their types differ."""

    first = 1 if function is torch.where else 0  # its condition stays one

    def call(*args: Any, **kwargs: Any) -> Any:
        chosen, args = args[:first], args[first:]
        tensors = [a for a in args if isinstance(a, torch.Tensor) and a.is_floating_point()]
        wanted = torch.float64
        if tensors and all(t.dtype == tensors[0].dtype for t in tensors):
            wanted = tensors[0].dtype
        args = tuple(a.to(wanted) if isinstance(a, torch.Tensor) else a for a in args)
        args = tuple(float(a) if isinstance(a, (bool, np.bool_)) else a for a in args)
        if chosen and not tensors:  # of plain numbers torch would make float32
            args = tuple(torch.tensor(a, dtype=wanted) for a in args)
        return function(*chosen, *args, **kwargs)

    call.__name__ = call.__qualname__ = getattr(function, "__name__", "")
    return call


def part_of_memory(
    whole: torch.Tensor, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, order: tuple[int, ...]
) -> torch.Tensor:
    """The part of an array's memory that a view of it has. `order` is how the axes of the array lie in memory."""
    flat = whole.permute(order)
    if flat.is_contiguous():
        return flat.as_strided(shape, strides, flat.storage_offset() + offset)
    return flat.reshape(-1).as_strided(shape, strides, offset)


part_of_memory.__name__ = "select"


def element(array: torch.Tensor, key: Any) -> torch.Tensor:
    """A number of an array, and no view."""
    return array[key].clone()


element.__name__ = "__getitem__"


@cache
def arranged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy's that only picks elements, repeats them or puts them elsewhere: where each comes from is asked
    of the function itself, with the elements numbered."""

    def call(*args: Any, **kwargs: Any) -> Any:
        found: list[torch.Tensor] = []

        def numbered(each: torch.Tensor) -> Any:
            if found and not each.is_floating_point():
                return each.numpy()
            first = sum(each.numel() for each in found)
            found.append(each.reshape(-1))
            return np.arange(first, first + each.numel()).reshape(each.shape)

        args, kwargs = tree_map_only(torch.Tensor, numbered, (args, kwargs))
        places = function(*args, **kwargs)
        dtype = next((each.dtype for each in found if each.is_floating_point()), found[0].dtype)
        everything = torch.cat([each.to(dtype) for each in found])
        parts = tuple(places) if isinstance(places, list) else places
        return tree_map(lambda part: everything[torch.from_numpy(part.copy())], parts)

    call.__name__ = call.__qualname__ = "gather"
    return call


@cache
def arranged_into(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a function that puts elements into an array in place: `np.put_along_axis`."""

    def on_a_copy(array: Any, *args: Any, **kwargs: Any) -> Any:
        function(changed := array.copy(), *args, **kwargs)
        return changed

    def call(array: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return array.copy_(arranged(on_a_copy)(array, *args, **kwargs))

    call.__name__ = call.__qualname__ = "scatter_"
    return call


@cache
def by_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy's that counts, picks places or compares: its result has no derivative, and NumPy makes it again."""

    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree_map_only(torch.Tensor, lambda each: each.detach().numpy(), (args, kwargs))
        return tree_map(lambda made: torch.from_numpy(np.array(made)), function(*args, **kwargs))

    call.__name__ = call.__qualname__ = "argsort"
    return call


def outer(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """NumPy flattens both."""
    return torch.outer(a.reshape(-1), b.reshape(-1))


def counted_by_weight(places: torch.Tensor, weights: torch.Tensor, least: int) -> torch.Tensor:
    """`np.bincount` with weights."""
    count = max(int(places.max()) + 1 if places.numel() else 0, least)
    return torch.zeros(count, dtype=torch.float64).index_add(0, places, weights.double())


counted_by_weight.__name__ = "index_add"


def stacked(items: Any) -> torch.Tensor:
    """`np.array([a, b])`, of numbers and arrays in lists."""
    parts = [
        stacked(item) if isinstance(item, (list, tuple)) else torch.as_tensor(item, dtype=None)
        for item in items
    ]
    dtype = next((p.dtype for p in parts if p.is_floating_point()), parts[0].dtype)
    return torch.stack([part.to(dtype) for part in parts])


stacked.__name__ = "stack"


def stacked_as(items: Any, dtype: torch.dtype) -> torch.Tensor:
    return stacked(items).to(dtype)


stacked_as.__name__ = "stack"


def rows_put_along(items: Any, others: tuple[int, ...], axis: int) -> torch.Tensor:
    """What `np.apply_along_axis` makes of what its function returned for each row."""
    whole = stacked(items)
    inner = tuple(range(len(others), len(others) + whole.ndim - 1))
    whole = whole.reshape(*others, *whole.shape[1:])
    return whole.movedim(inner, tuple(range(axis, axis + len(inner))))


rows_put_along.__name__ = "stack"


def _as_indices(key: Any) -> Any:
    """Small whole numbers are no mask: `y = np.zeros(n, dtype="uint8")`."""
    return tree_map_only(torch.Tensor, lambda k: k.long() if k.dtype is torch.uint8 else k, key)


def setitem(array: torch.Tensor, key: Any, value: Any) -> None:
    """Counts may be put among floats."""
    array[_as_indices(key)] = value.to(array.dtype) if isinstance(value, torch.Tensor) else value


setitem.__name__ = "__setitem__"


def added_at(array: torch.Tensor, key: Any, added: Any) -> torch.Tensor:
    """`np.add.at`: what is added several times to one place counts each time."""
    places = torch.arange(array.numel()).reshape(array.shape)[_as_indices(key)]
    values = torch.as_tensor(added, dtype=array.dtype).expand(places.shape)
    array.view(-1).index_put_((places.reshape(-1),), values.reshape(-1), accumulate=True)
    return array


def subtracted_at(array: torch.Tensor, key: Any, subtracted: Any) -> torch.Tensor:
    return added_at(array, key, -subtracted)


added_at.__name__ = subtracted_at.__name__ = "index_add_"


def padded(array: torch.Tensor, widths: tuple[tuple[int, int], ...], value: float) -> torch.Tensor:
    flat = [width for pair in reversed(widths) for width in pair]
    made: torch.Tensor = torch.nn.functional.pad(array, flat, value=value)
    return made


padded.__name__ = "pad"


def dot_with_last_but_one(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    made: torch.Tensor = torch.tensordot(a, b, dims=([-1], [-2]))
    return made


dot_with_last_but_one.__name__ = "tensordot"


def correlated(image: torch.Tensor, kernel: torch.Tensor, around: tuple[int, int]) -> torch.Tensor:
    """`around` is how many zeros are put around the image, along each axis."""
    made: torch.Tensor = torch.nn.functional.conv2d(image[None, None], kernel[None, None], padding=around)
    return made[0, 0]


correlated.__name__ = "conv2d"


def convolved(image: torch.Tensor, kernel: torch.Tensor, around: tuple[int, int]) -> torch.Tensor:
    return correlated(image, kernel.flip((0, 1)), around)


convolved.__name__ = "conv2d"
