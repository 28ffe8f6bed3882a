"""`gradcheck demo`: an example that comes with the package, for the first try."""

import shlex
from pathlib import Path

from gradcheck.program.errors import ProgramError

_PACKAGE = Path(__file__).resolve().parents[1]
# pyproject.toml puts them into the wheel; where the package is used from its repository, they are beside it.
_SHIPPED, _REPOSITORY = _PACKAGE / "example", _PACKAGE.parent / "models"
_FILES = ("day70.ipynb", "day70.py", "data/names.txt")


def written(folder: str, force: bool) -> str:
    """The path of the notebook. Raises ProgramError if a file is in the way that is another one."""
    source = _SHIPPED if _SHIPPED.is_dir() else _REPOSITORY
    try:
        contents = {Path(folder, name): (source / name).read_bytes() for name in _FILES}
        for path, content in contents.items():
            if not force and path.exists() and path.read_bytes() != content:
                raise ProgramError(
                    f"`{path}` is there already, and is another file",
                    "name another folder: `gradcheck demo FOLDER`; --force writes over it",
                )
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise ProgramError(f"`{error.filename}` cannot be used: {error.strerror}") from None
    return str(Path(folder, _FILES[0]))


def what_next(notebook: str) -> str:
    shown = shlex.quote(notebook)
    tries = {
        f"gradcheck fix {shown}": "the patch; --write applies it",
        f"gradcheck report {shown}": "also what the network does beyond its gradients",
        f"gradcheck isolate {shown}": "what each fault costs in loss (a few minutes)",
        "gradcheck report train.py": "your own program",
    }
    width = max(map(len, tries))
    lines = [f"  {command:<{width}}   {what}" for command, what in tries.items()]
    return "\n".join(
        [f"The example is in {shlex.quote(str(Path(notebook).parent))}. What to try next:", "", *lines]
    )
