"""The patch as a unified diff of the files' bytes, for `git apply` and `patch -p1`.

The hunks come from the edits themselves, not from comparing the two files: a notebook may hold megabytes.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from gradcheck.patch.files import PatchedFile

_CONTEXT = 3
_CONTROL = re.compile(rb"[\0-\x1f\x7f]")
_CONTROL_OR_QUOTE = re.compile(rb'[\0-\x1f\x7f"\\]')


@dataclass(slots=True)
class _Change:
    """Lines `start` up to `end` of the old file, counted from 0, and what is there in the new one."""

    start: int
    end: int
    new: list[bytes]


def unified_diff(file: PatchedFile) -> bytes:
    """The whole diff of one file, with its two header lines; empty if nothing changes."""
    old = _lines(file.before)
    changes = _joined(_changes(file, old))
    if not changes:
        return b""
    out = [b"--- " + _header(b"a/", file), b"+++ " + _header(b"b/", file)]
    shift = 0
    for group in _groups(changes):
        out += _hunk(old, group, shift)
        shift += sum(len(change.new) - (change.end - change.start) for change in group)
    return b"".join(out)


def _header(side: bytes, file: PatchedFile) -> bytes:
    """The path as git writes it: one with spaces ends at a tab, one with control characters is quoted."""
    name, folder = patch_path(file), _folder_in_repository()
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
    return os.path.relpath(here, above) + b"/"


def patch_path(file: PatchedFile) -> bytes:
    """Relative to the current directory; a file elsewhere is named from the root: `patch -p1 -d /`."""
    return os.fsencode(file.shown).lstrip(b"/")


def _lines(raw: bytes) -> list[bytes]:
    r"""As git and patch count: a line ends at \n alone."""
    lines = raw.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + [line for line in lines[-1:] if line]


def _changes(file: PatchedFile, old: list[bytes]) -> Iterator[_Change]:
    """The changed lines; edits that touch the same line are one change."""
    starts = list(accumulate(map(len, old), initial=0))

    def line_at(offset: int) -> int:
        return min(bisect_right(starts, offset), len(old)) - 1

    pending = list(file.splices)
    while pending:
        first, last = line_at(pending[0].start), line_at(pending[0].end)
        new, position = b"", starts[first]
        while pending and line_at(pending[0].start) <= last:
            splice = pending.pop(0)
            new += file.before[position : splice.start] + splice.new
            position = splice.end
            last = line_at(position)
        new += file.before[position : starts[last + 1]]
        change = _trimmed(old, _Change(first, last + 1, _lines(new)))
        if change.start < change.end or change.new:
            yield change


def _trimmed(old: list[bytes], change: _Change) -> _Change:
    while change.new and change.start < change.end and old[change.start] == change.new[0]:
        change.start += 1
        del change.new[0]
    while change.new and change.start < change.end and old[change.end - 1] == change.new[-1]:
        change.end -= 1
        del change.new[-1]
    return change


def _joined(changes: Iterable[_Change]) -> list[_Change]:
    """Changes of adjacent lines as one: first all that is taken out, then all that is put in."""
    joined: list[_Change] = []
    for change in changes:
        if joined and change.start == joined[-1].end:
            joined[-1].end = change.end
            joined[-1].new += change.new
        else:
            joined.append(change)
    return joined


def _groups(changes: list[_Change]) -> Iterator[list[_Change]]:
    """Changes whose contexts would touch are in one hunk."""
    group = [changes[0]]
    for change in changes[1:]:
        if change.start - group[-1].end > 2 * _CONTEXT:
            yield group
            group = []
        group.append(change)
    yield group


def _hunk(old: list[bytes], group: list[_Change], shift: int) -> Iterator[bytes]:
    first = max(group[0].start - _CONTEXT, 0)
    last = min(group[-1].end + _CONTEXT, len(old))
    added = sum(len(change.new) - (change.end - change.start) for change in group)
    count = last - first  # never 0: a file with a fix in it is not empty, before or after
    yield f"@@ -{first + 1},{count} +{first + shift + 1},{count + added} @@\n".encode()
    position = first
    for change in group:
        yield from _marked(b" ", old[position : change.start])
        yield from _marked(b"-", old[change.start : change.end])
        yield from _marked(b"+", change.new)
        position = change.end
    yield from _marked(b" ", old[position:last])


def _marked(mark: bytes, lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line
        if not line.endswith(b"\n"):
            yield b"\n\\ No newline at end of file\n"
