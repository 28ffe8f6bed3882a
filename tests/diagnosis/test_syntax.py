"""Edited trees are written as the smallest change of the person's own text."""

from __future__ import annotations

import ast
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.diagnosis.mistakes import writing
from gradcheck.diagnosis.syntax import Path, Rewriter, exchanged, expressions, parent_of, same_code


def written(source: str, old: str, new: ast.expr | str, *, nth: int = 0) -> str | None:
    """The source once the expression that reads `old` in its last statement is exchanged for `new`."""
    lines = source.split("\n")
    statement = ast.parse(source).body[-1]
    paths = [path for path, node in expressions(statement) if ast.unparse(node) == old]
    node = writing.written(new) if isinstance(new, str) else new
    rewriter = Rewriter(statement, lines)
    change = rewriter.change(exchanged(statement, paths[nth], node))
    if change is None:
        return None
    start = statement.lineno - 1
    indent = lines[start].encode()[: statement.col_offset].decode()
    return indent + rewriter.applied(change)


def test_only_what_differs_is_written() -> None:
    statement = ast.parse("dz  =  dh * ( 1-h ) # slope").body[0]
    rewriter = Rewriter(statement, ["dz  =  dh * ( 1-h ) # slope"])
    path = next(path for path, node in expressions(statement) if ast.unparse(node) == "h")
    change = rewriter.change(exchanged(statement, path, writing.written("h**2")))
    assert change is not None
    assert change.text == "h**2"
    assert rewriter.applied(change) == "dz  =  dh * ( 1-h**2 )"


def test_nothing_to_write() -> None:
    statement = ast.parse("a = b").body[0]
    assert Rewriter(statement, ["a = b"]).change(statement) is None


@pytest.mark.parametrize(
    ("source", "old", "new", "expected"),
    [
        ("d = a * b", "b", "x + y", "d = a * (x + y)"),
        ("d = a + b", "b", "x * y", "d = a + x * y"),
        ("d = a.T", "a", "x @ y", "d = (x @ y).T"),
        ("d = -a ** 2", "a", "-b", "d = -(-b) ** 2"),
        ("d = f(a, b)", "b", "x + y", "d = f(a, x + y)"),
        ("d = a*b - c", "b", "x * y", "d = a*(x*y) - c"),
        ("d = p['W'] @ g", "g", "q['h']", "d = p['W'] @ q['h']"),
        ('d = p["W"] @ g', "g", "q['h']", 'd = p["W"] @ q["h"]'),
        ("d = (a\n     * b)", "b", "c", "d = (a\n     * c)"),
        ("d = (a\n     * b)", "a * b", "c", "d = c"),
        ("d = (a - b) / n", "a - b", "2 * (a - b)", "d = 2 * (a - b) / n"),
        ("größe = 'é' + str(größe * b)", "b", "c", "größe = 'é' + str(größe * c)"),
        ("d[i] -= 1", "1", "1 / n", "d[i] -= 1 / n"),
    ],
)
def test_text(source: str, old: str, new: str, expected: str) -> None:
    assert written(source, old, new) == expected


def test_own_pieces_keep_their_text() -> None:
    source = "d = n * ( a+b )"
    statement = ast.parse(source).body[0]
    assert isinstance(statement, ast.Assign)
    product = statement.value
    assert isinstance(product, ast.BinOp)
    rewriter = Rewriter(product, [source])
    change = rewriter.change(writing.written("a / b", a=product.right, b=product.left))
    assert change is not None
    assert rewriter.applied(change).replace("( a+b )", "(a+b)") == "(a+b) / n"


def test_a_statement_that_follows() -> None:
    source = "if x:\n    d[i] -= 1  # the target"
    statement = ast.parse(source).body[0].body[0]  # type: ignore[attr-defined]
    rewriter = Rewriter(statement, source.split("\n"))
    change = rewriter.change(ast.Module([statement, ast.parse("d /= n").body[0]], []))
    assert change is not None
    lines = source.split("\n")
    line, _, column, end = change.span
    text = lines[line - 1].encode()
    lines[line - 1] = text[:column].decode() + change.text + text[end:].decode()
    assert "\n".join(lines) == "if x:\n    d[i] -= 1  # the target\n    d /= n"


def test_a_statement_that_follows_in_a_block_of_one_line() -> None:
    source = "if x: d[i] -= 1"
    statement = ast.parse(source).body[0].body[0]  # type: ignore[attr-defined]
    change = Rewriter(statement, [source]).change(ast.Module([statement, ast.parse("d /= n").body[0]], []))
    assert change is not None
    assert change.text == "d[i] -= 1; d /= n"


def test_parent() -> None:
    tree = ast.parse("f(a, b + c)", mode="eval").body
    path = next(path for path, node in expressions(tree) if ast.unparse(node) == "c")
    assert ast.unparse(parent_of(tree, path)) == "b + c"  # type: ignore[arg-type]
    assert parent_of(tree, ()) is None


# -- any expression, any edit -------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b2", "größe", "self.W", "p['k']", "x.T", "zs[i - 1]"])
ATOMS = NAMES | st.sampled_from(["1", "2.5", "1e-05"])


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from([" + ", "-", " * ", "/", " @ ", "**", " > "])
    return st.one_of(
        st.builds(lambda x, o, y: f"({x}){o}({y})", inner, operators, inner),
        st.builds(lambda x, o, y: f"({x}{o}\n  {y})", ATOMS, operators, ATOMS),
        st.builds(lambda x: f"-({x})", inner),
        st.builds(lambda x: f"({x}).sum(0, keepdim=True)", inner),
        st.builds(lambda x, y: f"torch.where({x} > 0, {y}, 0)", ATOMS, inner),
    )


SOURCES = st.recursive(ATOMS, grown, max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(SOURCES, SOURCES, st.integers(0, 10**6), st.sampled_from(["exchange", "wrap", "scale"]))
def test_the_changed_text_is_the_edited_tree(source: str, other: str, place: int, how: str) -> None:
    text = f"d = ({source})"
    statement = ast.parse(text).body[0]
    loads = [
        (path, node)
        for path, node in expressions(statement)
        if path and not isinstance(getattr(node, "ctx", None), ast.Store)
    ]
    path, node = loads[place % len(loads)]
    new: ast.expr = writing.written(textwrap.dedent(f"({other})"))
    if how == "wrap":
        new = writing.written("a * b", a=node, b=new)
    elif how == "scale":
        new = writing.written("2**a", a=node)
    check(text, statement, path, new)


def check(text: str, statement: ast.stmt, path: Path, new: ast.expr) -> None:
    edited = exchanged(statement, path, new)
    rewriter = Rewriter(statement, text.split("\n"))
    change = rewriter.change(edited)
    if same_code(statement, edited):
        assert change is None
        return
    assert change is not None
    assert same_code(ast.parse(rewriter.applied(change)).body[0], edited)
