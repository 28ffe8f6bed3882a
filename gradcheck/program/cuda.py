"""A program that says `cuda` on a machine without one runs on the CPU."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_CUDA = re.compile(r"cuda(:\d+)?")


class CudaOnCpu(TorchFunctionMode):
    """Hands every call on with `cpu` for `cuda`. Entered after the recorder, so that what is recorded is what
    ran. Only for programs whose text mentions cuda: it costs a microsecond per call."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") == "cuda" and args and isinstance(args[0], torch.Tensor):
            self._note_cpu()
            return args[0].to("cpu")
        changed = [self._on_cpu(a) if isinstance(a, (str, torch.device)) else a for a in args]
        options = {k: self._on_cpu(v) if k == "device" else v for k, v in (kwargs or {}).items()}
        return func(*changed, **options)

    def _on_cpu(self, value: Any) -> Any:
        if isinstance(value, torch.device) and value.type == "cuda":
            self._note_cpu()
            return torch.device("cpu")
        if isinstance(value, str) and _CUDA.fullmatch(value):
            self._note_cpu()
            return "cpu"
        return value

    def _note_cpu(self) -> None:
        self._note("cuda is not available here: the program ran on the CPU")


def cuda_on_cpu(note: Callable[[str], None]) -> CudaOnCpu | None:
    """The mode, or None where there is a CUDA device."""
    return None if torch.cuda.is_available() else CudaOnCpu(note)
