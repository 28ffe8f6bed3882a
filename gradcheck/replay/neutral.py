"""An analysis amid somebody's program: as torch is when it has just been imported, and nothing is left behind."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def neutral_torch() -> Iterator[None]:
    """What the person has switched on or off around the call does not reach the replays, and the replays do not reach
    the person's random numbers. The settings themselves are put back by `kept_torch_settings`."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autograd.set_detect_anomaly(False),
            warnings.catch_warnings(),  # a replay's would name lines that are not the person's
        ):
            warnings.simplefilter("ignore")
            torch.set_default_dtype(torch.float32)
            torch.set_default_device(None)
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
