"""Hostile and odd inputs, made from a seed: files that are no programs, and how the command is called.

`programs.py` has those that are programs, and do odd things. Each input is small; what is large is made when it is written.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRIPT = """\
import torch

torch.manual_seed(0)
X, Y = torch.randn(8, 3), torch.randn(8, 1)
W1, W2 = torch.randn(3, 4), torch.randn(4, 1)
for step in range(5):
    h = torch.tanh(X @ W1)
    out = h @ W2
    loss = ((out - Y) ** 2).mean()
    dout = 2 * (out - Y) / 8
    dW2 = h.T @ dout
    dh = dout @ W2.T
    dW1 = X.T @ (dh * (1 - h))
    W1 -= 0.1 * dW1
    W2 -= 0.1 * dW2
"""
CELLS = (
    SCRIPT[: SCRIPT.index("for step")],
    "%matplotlib inline\n!ls\n",
    SCRIPT[SCRIPT.index("for step") :],
    "print(loss)",
)


def notebook() -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "execution_count": 1,
            "metadata": {},
            "outputs": [],
            "source": text.splitlines(True),
        }
        for text in CELLS
    ]
    return {
        "cells": cells,
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@dataclass(frozen=True)
class Hostile:
    """`files` by name; `make` makes what no bytes can be. `target` is the first file, where nothing else is said."""

    kind: str
    files: dict[str, bytes] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    target: str | None = None
    make: Callable[[Path], object] | None = None

    def write(self, folder: Path) -> list[str]:
        """The words of the command line after its name."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if self.make is not None:
            self.make(folder)
        target = self.target if self.target is not None else next(iter(self.files))
        return ["report", *self.words, "--", target]


def no_programs(seed: int) -> Iterator[Hostile]:
    draw = random.Random(seed)
    yield from _cut(draw)
    yield from _spoilt(draw)
    yield from _other_types(draw)
    yield from _encoded()
    yield from _large()
    yield from _named()
    yield from _no_files()
    yield from _called()


def _cut(draw: random.Random) -> Iterator[Hostile]:
    script, book = SCRIPT.encode(), json.dumps(notebook(), indent=1).encode()
    for raw, name in ((script, "p.py"), (book, "p.ipynb")):
        for _ in range(30):
            yield Hostile("truncated", {name: raw[: draw.randrange(len(raw))]})


def _spoilt(draw: random.Random) -> Iterator[Hostile]:
    script, book = SCRIPT.encode(), json.dumps(notebook()).encode()
    for raw, name in ((script, "p.py"), (book, "p.ipynb")):
        for _ in range(30):
            spoilt = bytearray(raw)
            for _ in range(draw.randint(1, 6)):
                at = draw.randrange(len(spoilt))
                match draw.randrange(3):
                    case 0:
                        spoilt[at] = draw.randrange(256)
                    case 1:
                        del spoilt[at : at + draw.randint(1, 20)]
                    case _:
                        spoilt[at:at] = draw.randbytes(draw.randint(1, 8))
            yield Hostile("bytes changed", {name: bytes(spoilt)})
        for _ in range(15):
            yield Hostile("binary", {name: draw.randbytes(draw.choice((1, 10, 1000, 100_000)))})


def _other_types(draw: random.Random) -> Iterator[Hostile]:
    """A notebook with one value in it of another type."""
    values: tuple[object, ...] = (
        None,
        True,
        -1,
        1.5,
        10**30,
        "",
        "x",
        [],
        {},
        [None],
        {"a": 1},
        [[["x"]]],
        "\ud800",
        "\0",
        "é" * 999,
    )
    for _ in range(60):
        book = notebook()
        place: Any = book
        while True:
            key: Any = draw.choice(list(place) if isinstance(place, dict) else list(range(len(place))))
            if not place[key] or not isinstance(place[key], (dict, list)) or draw.random() < 0.3:
                break
            place = place[key]
        place[key] = draw.choice(values)
        yield Hostile("notebook of wrong types", {"p.ipynb": json.dumps(book).encode()})
    for value in (*values[:-2], "x" * 9, [notebook()]):
        yield Hostile("notebook of wrong types", {"p.ipynb": json.dumps(value).encode()})


def _encoded() -> Iterator[Hostile]:
    text = SCRIPT + "# é ü ß 名\n"
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"):
        yield Hostile("encoding", {"p.py": text.encode(encoding, "replace")})
        yield Hostile("encoding", {"p.ipynb": json.dumps(notebook()).encode(encoding)})
    for cookie in (
        "latin-1",
        "cp1252",
        "ascii",
        "utf-16",
        "utf-8-sig",
        "rot13",
        "hex",
        "zip",
        "idna",
        "punycode",
        "mbcs",
        "unicode_escape",
        "undefined",
        "nonsense",
        "",
        "utf-8 -*- coding: latin-1",
        "\x00",
    ):
        for end in (b"\xe9\n", b"ok\n"):
            yield Hostile(
                "encoding", {"p.py": f"# -*- coding: {cookie} -*-\n".encode() + SCRIPT.encode() + b"# " + end}
            )
    for ending in ("\r\n", "\r", "\n\r", "\x0c\n", "\u2028", "\x0b", "\x1a", "\x85"):
        yield Hostile("line ends", {"p.py": SCRIPT.replace("\n", ending).encode()})


def _large() -> Iterator[Hostile]:
    for depth in (50, 150, 1000, 100_000):
        for left, right in (("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("lambda: ", ""), ("{1:", "}")):
            yield Hostile("deep", {"p.py": f"x = {left * depth}1{right * depth}\n".encode()})
        blocks = "".join(f"{' ' * i}if 1:\n" for i in range(min(depth, 1000)))
        yield Hostile("deep", {"p.py": f"{blocks}{' ' * depth}x = 1\n".encode()})
        yield Hostile("deep", {"p.py": f"x = 1{'.real' * depth}\n".encode()})
        yield Hostile("deep", {"p.py": f"x = 1{' + 1' * depth}\n".encode()})
        yield Hostile("deep", {"p.ipynb": b'{"cells": ' + b"[" * depth + b"]" * depth + b"}"})
    yield Hostile("large", {"p.py": b"x = " + b"9" * 1_000_000 + b"\n"})
    yield Hostile("large", {"p.py": b"x = 1e999999999, 0x" + b"f" * 100_000 + b", -1e-999999\n"})
    yield Hostile("large", {"p.py": b"x = '" + b"a" * 5_000_000 + b"'\n"})
    yield Hostile("large", {"p.py": b"x = [\n" + b"    1.5, 2.5, 3.5,\n" * 200_000 + b"]\n"})
    yield Hostile("large", {"p.py": b"#" * 9_000_000})
    yield Hostile("large", {"p.py": b"x = 1\n" * 100_000})
    yield Hostile("large", make=lambda folder: _sparse(folder / "p.py", 10**9), target="p.py")
    yield Hostile("large", make=lambda folder: _sparse(folder / "p.ipynb", 10**9), target="p.ipynb")


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _named() -> Iterator[Hostile]:
    names = [
        "a b",
        "a\nb",
        "a\tb",
        "a\x1b[31mb",
        "\u202eab",
        "ü",
        "名",
        "😀",
        "%s",
        "{x}",
        "[bold]x[/bold]",
        "$(touch x)",
        ";",
        "*",
        "?",
        "a\\b",
        "'",
        '"',
        "`",
        "<b>",
        "&amp;",
        "-x",
        "--help",
        "a::b",
        "a:b",
        ".",
        "..",
        "con",
        "a." * 40,
        "n" * 200,
        "\udcff",
        "\u200b",
        "a\rb",
        "\x7f",
        "#",
        "%20",
        "~",
        "=",
        "@",
        "a,b",
    ]
    for name in names:
        for ending in (".py", ".ipynb"):
            raw = b"x = = 1\n" if ending == ".py" else b"{"
            yield Hostile("name", {name + ending: raw})


def _at(make: Callable[[Path], object], name: str) -> Callable[[Path], object]:
    return lambda folder: make(folder / name)


def _no_files() -> Iterator[Hostile]:
    for name in ("p.py", "p.ipynb"):
        for make in (
            lambda path: path.mkdir(),
            os.mkfifo,
            lambda path: path.symlink_to(path),
            lambda path: path.symlink_to("nowhere"),
            lambda path: path.symlink_to("/dev/zero"),
            lambda path: path.symlink_to("/dev/null"),
            lambda path: path.symlink_to("/proc/self/mem"),
            lambda path: (
                socket.socket(socket.AF_UNIX).bind(str(path)[-100:]) if len(str(path)) < 100 else None
            ),
            lambda path: path.touch(),
            lambda path: path.symlink_to("/"),
            lambda path: path.symlink_to("/etc"),
        ):
            yield Hostile("no file", make=_at(make, name), target=name)
    for target in (
        "",
        " ",
        ".",
        "..",
        "/",
        "nowhere.py",
        "p.txt",
        "a.b",
        "a:b",
        "a.b:c",
        ":",
        "::",
        "x.py::",
        "::f",
        "p.ipynb::f",
        "\n",
        "~",
    ):
        yield Hostile("no file", {"p.txt": b"x = 1\n"}, target=target)


def _called() -> Iterator[Hostile]:
    words = [
        ("--at", "9" * 30),
        ("--at", "0,"),
        ("--at", "1e3"),
        ("--loss", ""),
        ("--loss", "\n"),
        ("--pair", "="),
        ("--pair", "a=a=a"),
        ("--pair", "\x1b=x"),
        ("--cwd", "p.py"),
        ("--cwd", "\n"),
        ("--data", "a=p.py"),
        ("--data", "/=/"),
        ("--timeout", "-1"),
        ("--timeout", "inf"),
        ("--timeout", "1e-9"),
        ("--sweep", "0"),
        ("--fix-budget", "nan"),
        ("--select", ""),
        ("--select", "GC"),
        ("--ignore", "gc9999"),
        ("--threshold", "x"),
        ("--threshold", "GC202.tanh-limit=nan"),
        ("--format", "xml"),
        ("-o", ""),
        ("-o", "/"),
        ("-o", "p.py"),
        ("-o", "p.py/x"),
        ("-o", "\n/x"),
        ("--samples", "é"),
        ("--nonsense",),
    ]
    for each in words:
        yield Hostile("called", {"p.py": b"x = 1\n"}, words=each)
