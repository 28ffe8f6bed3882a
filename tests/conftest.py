"""What every test starts with, and the processes that it starts."""

from __future__ import annotations

import os

# Small tensors gain nothing from a second thread, and several tests run at a time. Torch reads it when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
