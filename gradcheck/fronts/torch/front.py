"""The torch front end: all hooks that see what a program does with torch, installed and removed together."""

from gradcheck.fronts.control import Control
from gradcheck.fronts.torch import mode
from gradcheck.fronts.torch.calls import Calls
from gradcheck.fronts.torch.function_calls import FunctionCalls
from gradcheck.fronts.torch.function_gradients import FunctionGradients
from gradcheck.fronts.torch.function_hooks import FunctionHooks
from gradcheck.fronts.torch.swapping import Swapping
from gradcheck.fronts.torch.ufuncs import UfuncBridge
from gradcheck.fronts.torch.values import Values
from gradcheck.fronts.torch.writer import Writer
from gradcheck.fronts.warning_places import WarningPlaces


class TorchFront:
    """`values` are those of the tape that `control` records on."""

    def __init__(self, control: Control, values: Values) -> None:
        functions = FunctionCalls(control, values)
        gradients = FunctionGradients(control, values, functions)
        writer = Writer(control, values, gradients)
        self._mode = mode.CallMode(control, Calls(control.recording.ops, values, functions), writer, values)
        self._ufuncs = UfuncBridge(writer.ufunc_called)
        self._functions = FunctionHooks(control, values, functions, gradients, self._mode)
        self._warnings = WarningPlaces(control.follower.user_frame, vars(mode))
        self._swapping = Swapping(values)
        self._entered = False

    def install(self) -> None:
        self._ufuncs.install()
        self._functions.install()
        self._swapping.install()
        self._warnings.install()
        self._mode.__enter__()  # type: ignore[no-untyped-call]
        self._entered = True

    def remove(self) -> None:
        self._ufuncs.remove()
        self._functions.remove()
        self._swapping.remove()
        self._warnings.remove()
        if self._entered:
            self._entered = False
            self._mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def take_out(self) -> None:
        self._mode.take_out()

    def put_back(self) -> None:
        self._mode.put_back()
