"""`torch.utils.swap_tensors` swaps what two tensors are, and refuses if anybody has a weak reference to one: while recording,
the tape has, and lets go of it for that time."""

import torch

from gradcheck.fronts.torch.values import Values


class Swapping:
    def __init__(self, values: Values) -> None:
        self._values = values
        self._swap = torch.utils.swap_tensors

    def install(self) -> None:
        torch.utils.swap_tensors = self._called

    def remove(self) -> None:
        torch.utils.swap_tensors = self._swap

    def _called(self, t1: torch.Tensor, t2: torch.Tensor) -> None:
        first, second = self._values.let_go(t1), self._values.let_go(t2)
        swapped = False
        try:
            self._swap(t1, t2)  # type: ignore[no-untyped-call]
            swapped = True
        finally:
            for tensor, value in ((t1, second), (t2, first)) if swapped else ((t1, first), (t2, second)):
                if value is not None:
                    self._values.hold_again(tensor, value)
