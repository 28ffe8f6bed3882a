"""Torch's settings for the whole process: what the program switches on or off must not outlast it."""

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def kept_torch_settings() -> Iterator[None]:
    """`torch.set_grad_enabled(False)` at the top of a script would leave every replay without a graph."""
    grad_enabled = torch.is_grad_enabled()
    dtype = torch.get_default_dtype()
    device = _default_device()
    deterministic = torch.get_deterministic_debug_mode()
    anomaly = torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()
    try:
        yield
    finally:
        torch.set_grad_enabled(grad_enabled)
        torch.set_default_dtype(dtype)
        if _default_device() != device:
            # A default device is a mode on torch's stack of modes: none must stay there for what was the default.
            torch.set_default_device(None if device.type == "cpu" else device)
        torch.set_deterministic_debug_mode(deterministic)
        torch.autograd.set_detect_anomaly(*anomaly)


def _default_device() -> torch.device:
    return torch.empty(0).device  # torch 2.6 raises if it is asked for it after `set_default_device(None)`


@contextmanager
def kept_random_states() -> Iterator[None]:
    """Of torch, NumPy and Python."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


@contextmanager
def torch_as_imported() -> Iterator[None]:
    """What the person has switched on or off around the call does not reach the replays, and the replays do not reach
    the person's random numbers. The settings themselves are restored by `kept_torch_settings`."""
    with (
        kept_random_states(),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autograd.set_detect_anomaly(False),
        warnings.catch_warnings(),  # a replay's would name lines that are not the person's
    ):
        warnings.simplefilter("ignore")
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        yield
