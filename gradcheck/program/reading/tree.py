"""The tree of one piece of source, and what is found in it by place. No other file parses a person's program."""

import ast
import warnings
from collections.abc import Iterator
from functools import cached_property, lru_cache

Function = ast.FunctionDef | ast.AsyncFunctionDef
Span = tuple[int, int, int, int]  # line, end line, column, end column; columns in bytes of UTF-8, from 0
Placed = ast.expr | ast.stmt | ast.keyword


def parse(text: str, filename: str = "<unknown>") -> ast.Module:
    """`ast.parse`, with every way in which it refuses text as a SyntaxError."""
    try:
        return ast.parse(text, filename)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(f"this cannot be parsed: {error or type(error).__name__}") from None


def parses(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are shown when the text is compiled
        try:
            parse(text)
        except SyntaxError:
            return False
    return True


def expression(text: str) -> ast.expr:
    """A new tree of one expression. Raises SyntaxError."""
    return ast.parse(text, mode="eval").body


class Tree:
    """`module` is empty, and `error` says why, where the text is not Python. Nobody changes the nodes: their
    identity tells statements apart for as long as the source unit lives."""

    def __init__(self, text: str, filename: str = "<unknown>") -> None:
        self.error: SyntaxError | None = None
        try:
            self.module = parse(text, filename)
        except SyntaxError as error:
            self.module, self.error = ast.Module([], []), error

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All of them, from the outside to the inside."""
        return list(ast.walk(self.module))

    @cached_property
    def statements(self) -> list[ast.stmt]:
        return [node for node in self.nodes if isinstance(node, ast.stmt)]

    @cached_property
    def functions(self) -> list[Function]:
        return [node for node in self.nodes if isinstance(node, Function)]

    @cached_property
    def _by_line(self) -> dict[int, ast.stmt]:
        table: dict[int, ast.stmt] = {}
        for node in self.statements:
            lines = lines_of(node)
            for line in lines:
                held = table.get(line)
                if held is None or len(lines) <= len(lines_of(held)):
                    table[line] = node
        return table

    def statement_at(self, line: int) -> ast.stmt | None:
        """The innermost statement on a line."""
        return self._by_line.get(line)

    def function(self, name: str, first_line: int) -> Function | None:
        """The function whose code object has this name and `co_firstlineno`."""
        return next((f for f in self.functions if f.name == name and first_line_of(f) == first_line), None)

    # -- where a comment belongs ----------------------------------------------------------------------------------

    def edges(self, line: int) -> set[int]:
        """Where a comment on the innermost statement that holds `line` may be: its first line and, if no other
        statement is within it, its last."""
        lines = self.lines(line)
        if lines:
            return {min(lines), max(lines)}
        innermost = self.statement_at(line)
        return set() if innermost is None else {innermost.lineno}

    def lines(self, line: int) -> set[int]:
        """All lines of the innermost statement that holds `line`; none if other statements are within it."""
        innermost = self.statement_at(line)
        return set() if innermost is None or _is_compound(innermost) else set(lines_of(innermost))

    def block(self, line: int) -> range | None:
        """The lines of the innermost block (a branch, a body of a loop or function) around `line`; None outside all
        blocks."""
        return min((block for block in self._blocks if line in block), key=len, default=None)

    @cached_property
    def _blocks(self) -> list[range]:
        found = []
        for node in self.nodes[1:]:
            for name in ("body", "orelse", "finalbody"):
                block = getattr(node, name, None)
                if isinstance(block, list) and block:  # the body of a lambda is an expression
                    found.append(range(block[0].lineno, lines_of(block[-1]).stop))
        return found


@lru_cache(maxsize=64)
def tree_of(text: str, filename: str) -> Tree:
    """Parsed once, however often the text is run: a layer is, on dozens of inputs."""
    return Tree(text, filename)


def _is_compound(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.stmt) for node in ast.walk(statement) if node is not statement)


def lines_of(node: ast.expr | ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def first_line_of(function: Function | ast.ClassDef) -> int:
    """As its code object counts: with its decorators."""
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])


def span_of(node: Placed) -> Span:
    end_column = node.col_offset if node.end_col_offset is None else node.end_col_offset
    return node.lineno, node.end_lineno or node.lineno, node.col_offset, end_column


def contains(outer: Span, inner: Span) -> bool:
    return (outer[0], outer[2]) <= (inner[0], inner[2]) and (inner[1], inner[3]) <= (outer[1], outer[3])


def node_at(statement: ast.AST, span: Span) -> ast.expr | ast.AugAssign | None:
    """The outermost expression, or augmented assignment, at exactly this place."""
    for node in ast.walk(statement):
        if isinstance(node, (ast.expr, ast.AugAssign)) and span_of(node) == span:
            return node
    return None


def parts_of(node: ast.expr | None) -> list[ast.expr]:
    """What a tuple or a list holds; of anything else, itself."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return node.elts
    return [] if node is None else [node]


def operands(node: ast.AST | None) -> list[ast.expr]:
    """The parts of an operation that may be its arguments."""
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Call):
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    return []


def called(call: ast.Call) -> str:
    """The name of what is called: `sum` of `x.sum()`."""
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def defaults(arguments: ast.arguments) -> dict[str, ast.expr]:
    """Of the parameters that have one."""
    positional = [parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args)]
    found = dict(zip(positional[::-1], arguments.defaults[::-1], strict=False))
    given = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return found | {parameter.arg: default for parameter, default in given if default is not None}


def with_owner(node: ast.AST, owner: Function | None = None) -> Iterator[tuple[Function | None, ast.AST]]:
    """Every node below, with the function it is in."""
    for child in ast.iter_child_nodes(node):
        yield owner, child
        yield from with_owner(child, child if isinstance(child, Function) else owner)
