"""What to do about an exception that says which package, version or language a program is for."""

import re
import tomllib
from pathlib import Path

PYTHON_2 = "this is Python 2; `2to3 -w FILE` converts it"
_KNOWN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_NO_ATTRIBUTE = re.compile(r"module '(numpy(?:\.lib)?)' has no attribute '(\w+)'")
_TO_SCALARS = re.compile(r"only (?:0-dimensional|length-1|size-1) arrays can be converted")


def hint_for(error: BaseException, message: str) -> str:
    """In one line; empty if the exception says nothing of the kind."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _about_module(error.name)
    if isinstance(error, NameError) and error.name in _KNOWN["names_of_python_2"]:
        return PYTHON_2
    gone = _NO_ATTRIBUTE.search(message) if isinstance(error, AttributeError) else None
    if gone is not None:
        written = f"{gone[1].replace('numpy', 'np')}.{gone[2]}"
        later = _KNOWN["numpy"].get(gone[2])
        instead = f"write `{later}`" if later else "it needs an older one, or another function"
        return f"the NumPy that is installed no longer has `{written}`: {instead}"
    if isinstance(error, TypeError) and _TO_SCALARS.search(message):
        return "NumPy no longer makes a number of an array with dimensions: write `x.item()`"
    if isinstance(error, ValueError) and "inhomogeneous" in message:
        return "NumPy no longer makes an array of rows of several lengths, unless with `dtype=object`"
    return ""


def _about_module(name: str) -> str:
    top = name.partition(".")[0]
    if top in _KNOWN["modules_of_python_2"]:
        return PYTHON_2
    package = _KNOWN["packages"].get(top, top)
    return (
        f"if it is a package, `pip install {package}` where gradcheck is installed; if it is a file of yours, "
        f"`PYTHONPATH=DIR` names the folder that it lies in"
    )
