"""Finds where statements begin in text that is not quite Python.

`tokenize` refuses `!ls` and `?x` (and does so differently from version to version), so brackets, strings
and continuation lines are followed by hand.
"""

import re

# A prefix cannot change where a string ends, except that in a raw string a backslash still guards the quote.
_TOKEN = re.compile(r"'''|\"\"\"|['\"]|[()\[\]{}]|#|\\\n|\\.|\n", re.DOTALL)


def logical_line_starts(text: str) -> set[int]:
    """Indexes (from 0) of the physical lines that begin outside brackets, strings and continuations."""
    starts = {0}
    line = depth = 0
    quote = ""
    in_comment = False
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "\n":
            line += 1
            in_comment = False
            if len(quote) == 1:
                quote = ""  # an unclosed one-line string: an apostrophe in a shell line
            if depth == 0 and not quote:
                starts.add(line)
        elif token == "\\\n" and not in_comment:
            line += 1
        elif token == "\\\n":
            line += 1
            in_comment = False
            starts |= {line} if depth == 0 and not quote else set()
        elif in_comment:
            continue
        elif quote:
            quote = "" if token == quote else _closed_inside(quote, token)
        elif token == "#":
            in_comment = True
        elif token in "([{":
            depth += 1
        elif token in ")]}":
            depth = max(0, depth - 1)
        elif not token.startswith("\\"):
            quote = token
    return starts


def _closed_inside(quote: str, token: str) -> str:
    """What is still open when `token` is met inside `quote`: `'` is closed by the first of three `'''`."""
    if len(quote) == 1 and len(token) == 3 and token[0] == quote:
        # 'a''' is 'a' followed by '' : closed, opened and closed again.
        return ""
    return quote
