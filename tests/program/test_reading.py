"""A person's source is parsed once, and read by one reader."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gradcheck.program.reading.names import names_read, targets_by_line
from gradcheck.program.reading.reader import Reader, UnknownNameError, UnreadableError
from gradcheck.program.reading.tree import Tree, expression, node_at, operands, span_of
from tests.support import ROOT, report_on_source

PROGRAM = """
import torch
torch.manual_seed(0)
x, W = torch.randn(8, 3), torch.randn(3, 4)
for i in range(2):
    h = torch.tanh(x @ W)
    loss = (h**2).sum()
    dh = 2 * h
    dW = x.T @ (dh * (1 - h))  # gradcheck: of W
    W = W - 0.1 * dW
"""


def test_one_file_parses_programs() -> None:
    parsing = [path for path in Path(ROOT, "gradcheck").rglob("*.py") if "ast.parse(" in path.read_text()]
    assert [path.name for path in parsing] == ["tree.py"]


def test_a_program_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    original = ast.parse

    def counting(source: Any, *args: Any, **kwargs: Any) -> ast.AST:
        seen[str(source)] += 1
        return original(source, *args, **kwargs)

    monkeypatch.setattr(ast, "parse", counting)
    report = report_on_source(PROGRAM, fix_budget_s=2.0)
    assert report.findings
    assert {text: count for text, count in seen.items() if "import torch" in text and count > 1} == {}


class Names(Reader):
    def __init__(self, **names: Any) -> None:
        super().__init__()
        self._names = names

    def name(self, name: str) -> Any:
        if name not in self._names:
            raise UnknownNameError(name)
        return self._names[name]

    def item(self, base: Any, key: Any) -> Any:
        return base[key]


class Loud:
    def __add__(self, other: object) -> object:
        raise AssertionError


@pytest.mark.parametrize(
    "text",
    ["n - 1", "f'W{n}'", "'W' + str(n)", "rows[n - 2]", "{'a': n}['a']", "n if n > 1 else 0", "(1, -n)", "n > 1 and n",
     "[i * j for i in (1, 2) for j in rows if j != i]", "not n", "1 < n < 9", "(m := n) * m", "{*rows}", "rows[:1]",
     "n // 2"],
)  # fmt: skip
def test_plain_expressions(text: str) -> None:
    names: dict[str, Any] = {"n": 3, "rows": [1, 2], "str": str}
    assert Names(**names).read(expression(text)) == eval(text, dict(names))


@pytest.mark.parametrize("text", ["loud + 1", "len(rows)", "[i for i in range(3)]", "rows.append(1)"])
def test_nothing_of_the_person_runs(text: str) -> None:
    with pytest.raises((UnreadableError, UnknownNameError)):
        Names(loud=Loud(), rows=[1], len=len, range=range).read(expression(text))


def test_names_that_statements_bind_and_read() -> None:
    tree = Tree("a, self.b = f(x)\nfor i in rows:\n    c[i] += d\ngrads.append(e)\nif (z := q): pass\n")
    texts = {line: [target.text for target in targets] for line, targets in targets_by_line(tree).items()}
    assert texts == {1: ["a", "self.b"], 2: ["i"], 3: ["c[i]"], 4: ["grads"], 5: ["z"]}
    assert names_read(tree.module) == {"self", "f", "x", "rows", "c", "i", "d", "grads", "e", "q"}


def test_nodes_by_place() -> None:
    tree = Tree("def f(x):\n    return x * (1 - x)\n")
    statement = tree.statement_at(2)
    assert isinstance(statement, ast.Return)
    assert statement.value is not None
    found = node_at(statement, span_of(statement.value))
    assert [ast.unparse(part) for part in operands(found)] == ["x", "1 - x"]
    assert tree.function("f", 1) is tree.functions[0]
    assert tree.function("f", 2) is None


def test_what_does_not_parse_is_empty() -> None:
    tree = Tree("x = = 1")
    assert isinstance(tree.error, SyntaxError)
    assert not tree.statements
