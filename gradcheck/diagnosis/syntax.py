"""Trees of the person's source: finding nodes, exchanging them, and the smallest change of the text that does it.

Edited trees share all unchanged nodes with the original. So what changed is seen by identity, and everything that
did not change is shown as the person wrote it.
"""

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from gradcheck.program.reading.tree import Placed, Span, contains, parse, span_of

Node = TypeVar("Node", bound=ast.AST)
Path = tuple[tuple[str, int | None], ...]

_ATOMS = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant, ast.Tuple, ast.List, ast.JoinedStr)


@dataclass(frozen=True, slots=True)
class TextChange:
    """Replace what is at `span` by `text`."""

    span: Span
    text: str


def expressions(tree: ast.AST, path: Path = ()) -> Iterator[tuple[Path, ast.expr]]:
    """Every expression in the tree with the way to it, outermost first."""
    if isinstance(tree, ast.expr):
        yield path, tree
    for name, held in ast.iter_fields(tree):
        if isinstance(held, ast.AST):
            yield from expressions(held, (*path, (name, None)))
        elif isinstance(held, list):
            for i, item in enumerate(held):
                if isinstance(item, ast.AST):
                    yield from expressions(item, (*path, (name, i)))


def parent_of(tree: ast.AST, path: Path) -> ast.AST | None:
    """What holds the node at the end of `path`; None for the tree itself."""
    if not path:
        return None
    parent = tree
    for name, index in path[:-1]:
        held = getattr(parent, name)
        parent = held if index is None else held[index]
    return parent


def exchanged(tree: Node, path: Path, new: ast.AST) -> Node:
    """The tree with another node at the end of `path`; the nodes on the way are copied, the rest is shared. Instead of all of
    it, a tree of its kind is expected."""
    if not path:
        return new  # type: ignore[return-value]
    (name, index), rest = path[0], path[1:]
    copied = copy.copy(tree)
    held = getattr(tree, name)
    if index is None:
        setattr(copied, name, exchanged(held, rest, new))
    else:
        setattr(copied, name, [*held[:index], exchanged(held[index], rest, new), *held[index + 1 :]])
    return copied


def same_code(left: ast.AST, right: ast.AST) -> bool:
    return ast.dump(left) == ast.dump(right)


class Rewriter:
    """Writes edited trees of one original as changes of its text."""

    def __init__(self, original: ast.expr | ast.stmt, lines: list[str]) -> None:
        self._original = original
        self._lines = lines  # of the whole unit
        self._known = {id(node) for node in ast.walk(original)}

    @property
    def span(self) -> Span:
        return span_of(self._original)

    def text_at(self, span: Span) -> str:
        return self._cut(span)

    def source(self, node: Placed) -> str:
        """The text of an original node."""
        return self._cut(span_of(node))

    def change(self, edited: ast.AST) -> TextChange | None:
        """The smallest change of the text that turns the original into `edited`; None if none does."""
        if same_code(self._original, edited):
            return None
        if isinstance(edited, ast.Module):
            return self._followed(edited)
        old, new = self._narrowed(edited)
        texts = list(
            dict.fromkeys(
                self._text(new, brackets, styled) for styled in (True, False) for brackets in (False, True)
            )
        )
        span = span_of(old)
        changes = [self._first_that_reads(edited, span, texts), None]
        around = self._with_brackets(span)
        if around is not None:  # `2 * (a - b) / n` needs no brackets around the product
            changes[1] = self._first_that_reads(edited, around, texts)
        found = [change for change in changes if change is not None]
        return min(found, key=lambda change: len(self.applied(change)), default=None)

    def _first_that_reads(self, edited: ast.AST, span: Span, texts: list[str]) -> TextChange | None:
        for text in texts:
            for candidate in (text, f"({text})"):
                change = TextChange(span, candidate)
                if self._reads_as(change, edited):
                    return change
        return None

    def _with_brackets(self, span: Span) -> Span | None:
        """The place with the brackets right around it, inside the original."""
        line, end_line, column, end_column = span
        wider = (line, end_line, column - 1, end_column + 1)
        if column == 0 or not contains(self.span, wider):
            return None
        text = self._cut(wider)
        return wider if text[:1] == "(" and text[-1:] == ")" else None

    def applied(self, change: TextChange) -> str:
        """The text of the original with the change made."""
        outer = self.span
        line, end_line, column, end_column = change.span
        before = self._cut((outer[0], line, outer[2], column))
        return before + change.text + self._cut((end_line, outer[1], end_column, outer[3]))

    def _followed(self, edited: ast.Module) -> TextChange | None:
        """The original statement with others after it: on lines of their own or, in a block of one line, after
        semicolons."""
        if edited.body[0] is not self._original:
            return None
        span = self.span
        added = [self._text(node, False, True) for node in edited.body[1:]]
        indent = self._lines[span[0] - 1].encode()[: span[2]].decode()
        if indent.strip():
            return TextChange(span, "; ".join([self._cut(span), *added]))
        rest = self._lines[span[1] - 1].encode()[span[3] :].decode()
        if rest.strip().startswith("#"):  # a comment belongs to its line
            span = (span[0], span[1], span[2], span[3] + len(rest.encode()))
        return TextChange(span, "\n".join([self._cut(span), *(indent + text for text in added)]))

    def _narrowed(self, edited: ast.AST) -> tuple[Placed, ast.AST]:
        """The innermost node that all differences lie in, and what takes its place."""
        old: Placed = self._original
        new = edited
        while type(old) is type(new):
            differing = _differing_children(old, new)
            if differing is None or len(differing) != 1:
                break
            old_child, new_child = differing[0]
            if not isinstance(old_child, Placed) or not hasattr(old_child, "lineno"):
                break
            old, new = old_child, new_child
        return old, new

    def _text(self, node: ast.AST, parenthesised: bool, styled: bool) -> str:
        pieces: list[ast.expr] = []

        def stand_in(tree: ast.AST) -> ast.AST:
            if id(tree) in self._known and isinstance(tree, ast.expr) and hasattr(tree, "lineno"):
                pieces.append(tree)
                return ast.Name(f"__piece{len(pieces) - 1}__", ast.Load())
            copied = copy.copy(tree)
            for name, held in ast.iter_fields(tree):
                if isinstance(held, ast.AST):
                    setattr(copied, name, stand_in(held))
                elif isinstance(held, list):
                    setattr(copied, name, [stand_in(x) if isinstance(x, ast.AST) else x for x in held])
            return copied

        text = ast.unparse(ast.fix_missing_locations(stand_in(node)))
        text = re.sub(r"e-0(\d)\b", r"e-\1", text)
        if styled:
            text = self._in_their_style(text)

        def put_back(match: re.Match[str]) -> str:
            piece = pieces[int(match.group(1))]
            source = self.source(piece)
            return f"({source})" if parenthesised and not isinstance(piece, _ATOMS) else source

        return re.sub(r"__piece(\d+)__", put_back, text)

    def _in_their_style(self, text: str) -> str:
        """Operators with or without spaces, as around them in the person's own text."""
        own = self._cut(self.span)
        if " ** " not in own:
            text = text.replace(" ** ", "**")
        if '"' in own and "'" not in own and '"' not in text:
            text = text.replace("'", '"')
        for operator in ("*", "/", "+", "-", "@"):
            if f" {operator} " not in own and re.search(rf"\w{re.escape(operator)}\w", own):
                text = text.replace(f" {operator} ", operator)
        return text

    def _reads_as(self, change: TextChange, edited: ast.AST) -> bool:
        text = f"({self.applied(change)}\n)" if isinstance(edited, ast.expr) else self.applied(change)
        indent = " " * self.span[2]
        try:
            block = parse(f"if 1:\n{indent} {text}").body[0]
        except SyntaxError:
            return False
        assert isinstance(block, ast.If)
        parsed = block.body[0]
        return same_code(
            parsed.value if isinstance(edited, ast.expr) and isinstance(parsed, ast.Expr) else parsed, edited
        )

    def _cut(self, span: Span) -> str:
        line, end_line, column, end_column = span
        if line == end_line:
            return self._lines[line - 1].encode()[column:end_column].decode()
        first = self._lines[line - 1].encode()[column:].decode()
        last = self._lines[end_line - 1].encode()[:end_column].decode()
        return "\n".join([first, *self._lines[line : end_line - 1], last])


def _differing_children(old: ast.AST, new: ast.AST) -> list[tuple[ast.AST, ast.AST]] | None:
    """The pairs of children that are not the same node; None if the nodes differ in anything else."""
    found: list[tuple[ast.AST, ast.AST]] = []
    for name in old._fields:
        left, right = getattr(old, name, None), getattr(new, name, None)
        if isinstance(left, ast.AST) and isinstance(right, ast.AST):
            if left is not right and not (isinstance(left, ast.expr_context) and type(left) is type(right)):
                found.append((left, right))
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return None
            for a, b in zip(left, right, strict=True):
                if isinstance(a, ast.AST) and isinstance(b, ast.AST):
                    if a is not b:
                        found.append((a, b))
                elif a != b:
                    return None
        elif left != right:
            return None
    return found
