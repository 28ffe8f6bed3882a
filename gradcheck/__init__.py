"""gradcheck: the debugger for hand-written backward passes.

One real training step is recorded undisturbed; every question is answered by replaying the recording.
"""

from gradcheck.base.version import __version__

# As type checkers know it; importing it from `typing` would cost more than all the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from gradcheck.analysis.watching import Watched, watch
    from gradcheck.api.assertions import assert_gradients
    from gradcheck.api.checking import check
    from gradcheck.api.pairing import pair
    from gradcheck.base.errors import GradcheckError, GradientError, NothingToCheckError, WatchError
    from gradcheck.layers.check import check_layer
    from gradcheck.layers.report import LayerReport
    from gradcheck.report.model import Report

__all__ = [
    "GradcheckError", "GradientError", "LayerReport", "NothingToCheckError", "Report",
    "WatchError", "Watched", "__version__", "assert_gradients", "check", "check_layer", "pair",
    "watch",
]  # fmt: skip

# Imported when they are first used: `import gradcheck`, and with it every start of pytest, must not import torch.
_HOMES = {
    "GradcheckError": "base.errors",
    "GradientError": "base.errors",
    "LayerReport": "layers.report",
    "NothingToCheckError": "base.errors",
    "Report": "report.model",
    "WatchError": "base.errors",
    "Watched": "analysis.watching",
    "assert_gradients": "api.assertions",
    "check": "api.checking",
    "check_layer": "layers.check",
    "pair": "api.pairing",
    "watch": "analysis.watching",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"gradcheck.{home}"), name)
    globals()[name] = found
    return found


def load_ipython_extension(shell: object) -> None:
    """`%load_ext gradcheck`: the magics `%%gradcheck` and `%gradcheck_fix`."""
    from gradcheck.notebook.magics import load

    load(shell)


def unload_ipython_extension(shell: object) -> None:
    from gradcheck.notebook.magics import unload

    unload(shell)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
