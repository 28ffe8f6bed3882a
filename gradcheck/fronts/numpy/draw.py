"""A draw of NumPy or of Python's `random`, which can be made again."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gradcheck.fronts.numpy.memory import tensor_of
from gradcheck.ops import Family, operation_called


class Draw:
    """A method of a generator of the program, which stays as it is: another one of its kind makes the draw again, with a
    seed out of torch's random stream, as torch's own draws do."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._name = method.__name__
        # By its name it is known to be a draw.
        self.__name__ = self._name if operation_called(self._name).family is Family.DRAW else "rand"
        owner = getattr(method, "__self__", None)
        kinds = (np.random.RandomState, random.Random)
        self._kind: Any = next((kind for kind in kinds if isinstance(owner, kind)), np.random.default_rng)

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor | None:
        seed = int(torch.randint(2**31, ()))
        return tensor_of(getattr(self._kind(seed), self._name)(*args, **kwargs))
