"""The patch as a unified diff of the files' bytes, for `git apply` and `patch -p1`."""

import difflib
import os
import re
from io import BytesIO
from pathlib import PurePath

from gradcheck.patch.files import PatchedFile

_CONTROL = re.compile(rb"[\0-\x1f\x7f]")
_CONTROL_OR_QUOTE = re.compile(rb'[\0-\x1f\x7f"\\]')


def unified_diff(file: PatchedFile) -> bytes:
    """The whole diff of one file, with its two header lines; empty if nothing changes."""
    # As git and patch count: a line ends at \n alone.
    sides = BytesIO(file.before).readlines(), BytesIO(file.after).readlines()
    _, _, *lines = [*difflib.diff_bytes(difflib.unified_diff, *sides)] or [b"", b""]
    if not lines:
        return b""
    ends = (line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in lines)
    return b"".join((b"--- ", _header(b"a/", file), b"+++ ", _header(b"b/", file), *ends))


def _header(side: bytes, file: PatchedFile) -> bytes:
    """The path as git writes it: one with spaces ends at a tab, one with control characters is quoted. A file that is not
    below the current directory is named from the root: `patch -p1 -d /`."""
    name, folder = os.fsencode(PurePath(file.shown).as_posix()).lstrip(b"/"), _folder_in_repository()
    if name.startswith(folder) and not folder.startswith((b"a/", b"b/")):
        side += b"/"  # in `src` of a repository, git takes `a/src/x.py` for `x.py`, but not `a//src/x.py`
    if _CONTROL.search(name):
        return b'"' + side + _CONTROL_OR_QUOTE.sub(lambda m: b"\\%03o" % m[0][0], name) + b'"\n'
    return side + name + (b"\t\n" if b" " in name else b"\n")


def _folder_in_repository() -> bytes:
    """The path of the current folder below the root of its repository, ending in a slash; "/" for the root, or outside."""
    here = os.getcwdb()
    above = here
    while not os.path.exists(os.path.join(above, b".git")):
        if above == (above := os.path.dirname(above)):
            return b"/"
    return os.fsencode(PurePath(os.fsdecode(os.path.relpath(here, above))).as_posix()) + b"/"
