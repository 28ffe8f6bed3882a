"""Files that gradcheck wrote, known by how they begin. No other file is written over, unless that is asked for."""

import os
import re
from pathlib import Path

HEADING = "Gradient report: "  # the first line of a text file
JOURNAL = "gradcheck journal"  # the first key in a journal
PAGE = "<!-- gradcheck report -->"  # at the top of an HTML page
SOFTWARE = {"Software": "gradcheck"}  # in a figure
_MOST = 4096
_BEGINNINGS = re.compile(
    rb"(# )?(Gradient|Layer) report: "
    rb'|(\[\s*)?\{\s*"schema": \d+,\s*"version": "[^"\n]*",\s*"target": "'
    rb'|\{"gradcheck journal": "'
    rb"|<!doctype html>\n<!-- gradcheck report -->"
    rb'|\{\s*"\$schema": "[^"]*sarif[^"]*",.{,400}"name": "gradcheck"'
    rb'|<\?xml [^>]*>\s*<testsuites name="gradcheck"'
    rb"|::(error|warning|notice) [^\n]*title=(GC\d+ |gradcheck)"
    rb"|\x89PNG\r\n\x1a\n.{,200}tEXtSoftware\0gradcheck",
    re.DOTALL,
)


def may_be_replaced(path: Path) -> bool:
    """Whether writing into `path` loses nothing of anybody's: it is not there, is empty, or is ours; or it is a device or
    a pipe. A folder, or what cannot be read, is for the one who writes to find out."""
    if not os.path.isfile(path):
        return True
    try:
        with path.open("rb") as file:
            beginning = file.read(_MOST)
    except PermissionError:
        return False
    except OSError:
        return True
    return not beginning or _BEGINNINGS.match(beginning) is not None
