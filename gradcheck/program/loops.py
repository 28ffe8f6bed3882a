"""Lets loops be watched: rewrites loop headers, and nothing else, before the person's code is compiled.

    for x in it: ...      becomes      for x in __gradcheck_for__(7, it): ...
    while c: ...          becomes      with __gradcheck_while__(8):
                                           while c and __gradcheck_turn__(8) or __gradcheck_done__(8): ...

Every node keeps its position, so tracebacks, `inspect` and the places of recorded calls are the person's.
The names live in `builtins`, so `globals()`, `locals()` and `dir()` look as they always do. A `while` gets a
`with` around it because nothing else says when it is left by `break`, `return` or an exception without
adding a name to the person's scope; the last call, which is made only then and returns False, says that it ended by its
condition. For a `for` loop, the iterator is dropped. Comprehensions
and `async for` are left alone.
"""

import ast
import copy
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import TypeVar

from gradcheck.base.depth import deep
from gradcheck.program.array_calls import through_hooks

FOR, WHILE, TURN, DONE = (
    "__gradcheck_for__",
    "__gradcheck_while__",
    "__gradcheck_turn__",
    "__gradcheck_done__",
)
_Node = TypeVar("_Node", bound=ast.AST)
_Loop = TypeVar("_Loop", ast.For, ast.While)
_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class LoopSite:
    """One loop statement of the person's; `parent` is the loop around it in the same function, if any. `is_bounded`:
    something is counted, or an iterator runs out, so that it ends whatever is computed in it."""

    loop: int
    filename: str
    line: int
    end_line: int
    function: str  # qualified name; "" at the top level
    is_while: bool
    parent: int | None
    is_bounded: bool


@dataclass
class LoopTable:
    """All loop statements of one run, by the number their header passes on."""

    sites: dict[int, LoopSite] = field(default_factory=dict)
    libraries: Collection[str] = ()  # of arrays, that the program uses
    hooked: set[str] = field(default_factory=set)  # the files that were compiled with hooks

    @property
    def array_calls(self) -> bool:
        """Whether the program's operations go through hooks, since some of them may be NumPy's."""
        return "numpy" in self.libraries

    def add(self, node: ast.For | ast.While, filename: str, function: str, parent: int | None) -> int:
        loop = len(self.sites)
        is_while = isinstance(node, ast.While)
        end_line = node.end_lineno or node.lineno
        is_bounded = not isinstance(node, ast.While) or _is_bounded(node)
        self.sites[loop] = LoopSite(
            loop, filename, node.lineno, end_line, function, is_while, parent, is_bounded
        )
        return loop


def compile_watched(
    tree: ast.Module, filename: str, table: LoopTable, *, optimize: int = -1, flags: int = 0
) -> CodeType:
    """Compiles a module with its loop headers rewritten, in a copy of `tree`. `flags` are those of `compile`."""
    before = len(table.sites)
    if table.array_calls:
        table.hooked.add(filename)
        with deep():
            tree = through_hooks(tree)
    for most_nested in (20, 4, 0, -1):
        try:
            with deep():
                watched = _HeaderRewriter(filename, table, most_nested).visit(tree)
                code: CodeType = compile(
                    watched, filename, "exec", flags, dont_inherit=True, optimize=optimize
                )
            return code
        except SyntaxError as error:
            # Python nests 20 blocks, and the `with` around a `while` is one: the inner loops are not watched then.
            if "nested blocks" not in str(error) or most_nested < 0:
                raise
            for loop in range(before, len(table.sites)):
                del table.sites[loop]
        except RecursionError:
            raise SyntaxError("it is nested deeper than gradcheck can follow") from None
    raise AssertionError("the last attempt returns or raises")


class _HeaderRewriter(ast.NodeTransformer):
    def __init__(self, filename: str, table: LoopTable, most_nested: int) -> None:
        """A `while` in more than `most_nested` loops around it is left as it is."""
        self._filename = filename
        self._table = table
        self._most_nested = most_nested
        self._nested = 0
        self._function = ""
        self._loop: int | None = None

    def _enter_scope(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        outer = self._function, self._loop, self._nested
        self._function = f"{self._function}.{node.name}" if self._function else node.name
        self._loop, self._nested = None, 0
        copied = self.generic_visit(node)
        self._function, self._loop, self._nested = outer
        return copied

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _enter_scope  # noqa: N815

    def visit_For(self, node: ast.For) -> ast.AST:
        loop, copied = self._enter_loop(node)
        # The call takes the position of the iterable: an error raised by it points there, as it always did.
        copied.iter = _call(FOR, loop, node.iter, node.iter)
        return copied

    def visit_While(self, node: ast.While) -> ast.AST:
        if self._nested > self._most_nested:
            return self.generic_visit(node)
        loop, copied = self._enter_loop(node)
        # The turn is taken after the condition held, so that an iteration is announced only if it happens.
        turn = _call(TURN, loop, None, node.test)
        done = _call(DONE, loop, None, node.test)
        goes_on = ast.copy_location(ast.BoolOp(ast.And(), [node.test, turn]), node.test)
        copied.test = ast.copy_location(ast.BoolOp(ast.Or(), [goes_on, done]), node.test)
        scope = ast.withitem(_call(WHILE, loop, None, node.test), None)
        return ast.copy_location(ast.With([scope], [copied]), node.test)

    def _enter_loop(self, node: _Loop) -> tuple[int, _Loop]:
        outer = self._loop
        self._loop = loop = self._table.add(node, self._filename, self._function, outer)
        self._nested += 1
        copied = self.generic_visit(node)
        self._nested -= 1
        self._loop = outer
        return loop, copied

    def generic_visit(self, node: _Node) -> _Node:
        """A copy, so that the tree stays as the person wrote it. Statements are in lists; no expression holds one."""
        if isinstance(node, ast.expr):
            return node
        copied = copy.copy(node)
        for name, held in ast.iter_fields(node):
            if isinstance(held, list):
                setattr(
                    copied, name, [self.visit(item) if isinstance(item, ast.AST) else item for item in held]
                )
        return copied


def _is_bounded(node: ast.While) -> bool:
    """Whether the condition, or that of an `if` that leaves the loop, compares sizes: `len(out) < 50`."""
    conditions = [node.test, *_ways_out(node.body, (ast.Break, ast.Return, ast.Raise))]
    parts = [part for condition in conditions for part in ast.walk(condition)]
    return any(isinstance(op, _ORDERED) for part in parts if isinstance(part, ast.Compare) for op in part.ops)


def _ways_out(body: Iterable[ast.AST], leaving: tuple[type[ast.stmt], ...]) -> Iterator[ast.expr]:
    """The conditions of the `if` statements that hold one of the `leaving` statements."""
    for node in body:
        if isinstance(node, _SCOPES):
            continue
        # A `break` in a loop inside of this one leaves that.
        out = (ast.Return, ast.Raise) if isinstance(node, (ast.For, ast.AsyncFor, ast.While)) else leaving
        if isinstance(node, ast.If) and any(isinstance(s, out) for s in (*node.body, *node.orelse)):
            yield node.test
        yield from _ways_out(ast.iter_child_nodes(node), out)


def _call(name: str, loop: int, argument: ast.expr | None, at: ast.expr) -> ast.Call:
    arguments = [ast.Constant(loop), *([argument] if argument else [])]
    call = ast.Call(ast.Name(name, ast.Load()), arguments, [])
    for node in (call, call.func, arguments[0]):
        ast.copy_location(node, at)
    return call
