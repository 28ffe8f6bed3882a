"""Torch's settings for the whole process: what the program switches on or off must not outlast it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def kept_torch_settings() -> Iterator[None]:
    """`torch.set_grad_enabled(False)` at the top of a script would leave every replay without a graph."""
    grad_enabled = torch.is_grad_enabled()
    dtype = torch.get_default_dtype()
    device = torch.get_default_device()
    deterministic = torch.get_deterministic_debug_mode()
    anomaly = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    try:
        yield
    finally:
        torch.set_grad_enabled(grad_enabled)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            # A default device is a mode on torch's stack of modes: none must stay there for what was the default.
            torch.set_default_device(None if device.type == "cpu" else device)
        torch.set_deterministic_debug_mode(deterministic)
        torch.autograd.set_detect_anomaly(*anomaly)
