"""Libraries that only some commands need, and that are not installed with the rest."""

from importlib.util import find_spec

_EXTRA = {"matplotlib": "plots", "scipy": "samples", "joblib": "isolate", "mcp": "mcp"}


def is_installed(library: str) -> bool:
    return find_spec(library) is not None


def how_to_install(library: str) -> str:
    return f"pip install 'gradcheck[{_EXTRA[library]}]'"
