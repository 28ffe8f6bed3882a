"""The NumPy front end: serves the hooks of a rewritten program."""

import builtins

import numpy as np

from gradcheck.fronts import arrays
from gradcheck.fronts.control import Control
from gradcheck.fronts.numpy import changes, hooks
from gradcheck.fronts.numpy.changes import ChangesWriter
from gradcheck.fronts.numpy.hooks import Hooks
from gradcheck.fronts.numpy.values import ArrayValues
from gradcheck.fronts.torch.values import Values
from gradcheck.fronts.warning_places import WarningPlaces
from gradcheck.program import array_hooks
from gradcheck.program.array_calls import HOOKS
from gradcheck.program.loops import LoopTable


class NumpyFront:
    """Does nothing unless the program was compiled with hooks: `table` says so."""

    def __init__(self, control: Control, values: Values, table: LoopTable) -> None:
        self._table = table
        known = ArrayValues(control.recording.ops, values)
        self._writer = ChangesWriter(control, known)
        values.foreign = known
        self._hooks = Hooks(table.hooked)
        self._warnings = WarningPlaces(control.follower.user_frame, *map(vars, (hooks, changes, array_hooks)))

    def install(self) -> None:
        arrays.reset()  # not when it is removed: what was recorded is read after that
        if self._table.array_calls:
            arrays.add(np.ndarray, np.floating, alone="torch" not in self._table.libraries)
            self._hooks.writer = self._writer
            setattr(builtins, HOOKS, self._hooks)
            self._warnings.install()

    def remove(self) -> None:
        """The name stays: functions of the program may still be called."""
        self._hooks.writer = None
        setattr(builtins, HOOKS, array_hooks.PlainHooks())
        self._warnings.remove()

    def take_out(self) -> None: ...

    def put_back(self) -> None: ...
