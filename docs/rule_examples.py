"""The example of each rule as a whole program: `examples/gc101.py` holds that of the page of GC101, line by line.

`python docs/rule_examples.py GC101` prints it repaired, as the page repairs it under "Use instead".
"""

from __future__ import annotations

import shlex
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from gradcheck.checks.registry import find_rule
from gradcheck.checks.rule import Rule

FOLDER = Path(__file__).with_name("examples")


@dataclass(frozen=True)
class Example:
    triggers: str
    repaired: str
    at: tuple[int, ...]  # the steps that show it


def example(rule: Rule) -> Example:
    """Raises ValueError where the program does not hold what the page shows."""
    text = (FOLDER / f"{rule.code.lower()}.py").read_text(encoding="utf-8")
    command = shlex.split(text.partition('"""')[2].partition('"""')[0])
    at = command[command.index("--at") + 1].split(",") if "--at" in command else ["0"]
    shown, instead = _parts(rule.sections["Example"]), _parts(rule.sections["Use instead"])
    if len(shown) != len(instead):
        raise ValueError(
            f"{rule.code}: the example has {len(shown)} parts, and the repaired one {len(instead)}"
        )
    repaired = text.splitlines()
    for old, new in zip(shown, instead, strict=True):
        _replace(repaired, old, new, rule)
    return Example(text, "\n".join(repaired) + "\n", tuple(int(step) for step in at))


def _parts(fenced: str) -> list[list[str]]:
    """The lines between the fences; a line `...` stands for others."""
    parts: list[list[str]] = [[]]
    for line in fenced.splitlines()[1:-1]:
        if line == "...":
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def _replace(program: list[str], old: list[str], new: list[str], rule: Rule) -> None:
    for start in range(len(program)):
        indent = program[start][: len(program[start]) - len(program[start].lstrip())]
        if program[start : start + len(old)] == _indented(old, indent):
            program[start : start + len(old)] = _indented(new, indent)
            return
    raise ValueError(f"{rule.code}: its program has no place with\n" + "\n".join(old))


def _indented(lines: list[str], indent: str) -> list[str]:
    return textwrap.indent("\n".join(lines), indent).splitlines()


if __name__ == "__main__":
    found = find_rule(sys.argv[1])
    sys.exit("there is no such rule" if found is None else print(example(found).repaired, end=""))
