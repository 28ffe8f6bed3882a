"""Lets a NumPy program be followed: its operators, calls, subscripts and iterations go through hooks.

    a * b + c        becomes   __gc_np__.binop("add", __gc_np__.binop("mul", a, b), c)
    f(x, axis=0)     becomes   __gc_np__.callee(f)(x, axis=0)
    a[i] = v         becomes   __gc_np__.at(a, i).value = v
    b * c            becomes   __gc_np__.binop_of("mul", b, c, "b", None), where `b` is moved: `b -= step`
    a[i] += v        becomes   __gc_np__.aug_store(__gc_np__.aug_item("iadd", a, i), v)

A hook makes the very operation that was written, once, in the same order. Every node keeps its position. The name lives in
`builtins`, as those of the loop headers do. Annotations, f-strings and patterns are left alone.
"""

import ast
import copy
import re
from types import CodeType

from gradcheck.program.moved_numbers import moved_names, path_of

HOOKS = "__gc_np__"
_LIBRARIES = {
    name: re.compile(rf"^\s*(?:import|from)\b[^\n#]*\b{name}\b", re.MULTILINE) for name in ("numpy", "torch")
}
# They look at the frame that calls them.
_LOOKS_AT_ITS_CALLER = frozenset({"super", "locals", "globals", "vars", "dir", "eval", "exec", "breakpoint"})
_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv", ast.Mod: "mod",
    ast.Pow: "pow", ast.MatMult: "matmul", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor",
}  # fmt: skip
_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne",
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], str] = {ast.USub: "neg", ast.Invert: "invert"}


def libraries_of(text: str) -> set[str]:
    """Which of the two array libraries a source imports."""
    return {name for name, imported in _LIBRARIES.items() if imported.search(text)}


def through_hooks(tree: ast.Module) -> ast.Module:
    """A copy of `tree` that calls the hooks."""
    rewriter = _Rewriter(moved_names(tree))
    rewritten: ast.Module = ast.fix_missing_locations(rewriter.visit(copy.deepcopy(tree)))
    return rewritten


def goes_through_hooks(code: CodeType) -> bool:
    """Whether it, or a function in it, was compiled with hooks."""
    return HOOKS in code.co_names or any(
        goes_through_hooks(constant) for constant in code.co_consts if isinstance(constant, CodeType)
    )


class _Rewriter(ast.NodeTransformer):
    def __init__(self, moved: frozenset[str]) -> None:
        self._class = ""
        self._moved = moved

    # -- left alone ----------------------------------------------------------------------------------------------

    def _leave(self, node: ast.AST) -> ast.AST:
        return node

    visit_JoinedStr = visit_arg = visit_Delete = _leave  # noqa: N815

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
            node.target = self.visit(node.target)
        return node

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        node.guard = None if node.guard is None else self.visit(node.guard)
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        outer, self._class = self._class, node.name
        self.generic_visit(node)
        self._class = outer
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.args = self.visit(node.args)
        node.body = [self.visit(statement) for statement in node.body]
        return node

    # -- expressions ---------------------------------------------------------------------------------------------

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        name = _BINARY.get(type(node.op))
        if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
            return node
        moved = [self._if_moved(operand) for operand in (node.left, node.right)]
        self.generic_visit(node)
        if name is None:
            return node
        operands = ast.Constant(name), node.left, node.right
        if any(moved):
            return _hook("binop_of", node, *operands, *map(ast.Constant, moved))
        return _hook("binop", node, *operands)

    def _if_moved(self, operand: ast.expr) -> str | None:
        """Its name, if the program moves what it holds."""
        path = path_of(operand)
        return path if path in self._moved else None

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        name = _UNARY.get(type(node.op))
        if isinstance(node.operand, ast.Constant):
            return node
        self.generic_visit(node)
        return node if name is None else _hook("unary", node, ast.Constant(name), node.operand)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        name = _COMPARED.get(type(node.ops[0])) if len(node.ops) == 1 else None
        if name is None:
            return node
        return _hook("binop", node, ast.Constant(name), node.left, node.comparators[0])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in _LOOKS_AT_ITS_CALLER:
            return node
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                argument.value = _hook("each", argument.value, argument.value)
        node.func = _hook("callee", node.func, node.func)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr == "T" and isinstance(node.ctx, ast.Load):
            return _hook("transposed", node, node.value)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        key = _key(node.slice)
        if isinstance(node.ctx, ast.Load):
            return _hook("getitem", node, node.value, key)
        if isinstance(node.ctx, ast.Store):
            slot = _hook("at", node, node.value, key)
            return _on_one_line(ast.copy_location(ast.Attribute(slot, "value", ast.Store()), node))
        return node

    # -- statements ----------------------------------------------------------------------------------------------

    def visit_For(self, node: ast.For | ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.iter = _hook("each", node.iter, node.iter)
        return node

    visit_comprehension = visit_For

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        unpacks = all(isinstance(target, (ast.Tuple, ast.List)) for target in node.targets)
        self.generic_visit(node)
        if unpacks and not isinstance(node.value, (ast.Tuple, ast.List)):
            node.value = _hook("each", node.value, node.value)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        name, target = _BINARY.get(type(node.op)), node.target
        node.value = self.visit(node.value)
        if name is None:
            return node
        operation = ast.Constant("i" + name)
        if isinstance(target, ast.Name):
            old = ast.copy_location(ast.Name(target.id, ast.Load()), target)
            moved = self._if_moved(target)
            if moved is None:
                made = _hook("aug", node, operation, old, node.value)
            else:
                made = _hook("aug_of", node, operation, old, node.value, ast.Constant(moved))
            return ast.copy_location(ast.Assign([target], made), node)
        owner = self.visit(target.value)
        if isinstance(target, ast.Subscript):
            held = _hook("aug_item", target, operation, owner, _key(self.visit(target.slice)))
        else:
            held = _hook("aug_attribute", target, operation, owner, ast.Constant(self._mangled(target.attr)))
        return ast.copy_location(ast.Expr(_hook("aug_store", node, held, node.value)), node)

    def _mangled(self, name: str) -> str:
        own = self._class.lstrip("_")
        return f"_{own}{name}" if own and name.startswith("__") and not name.endswith("__") else name


def _key(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Slice):
        parts = [ast.Constant(None) if part is None else part for part in (node.lower, node.upper, node.step)]
        return _hook("slice", node, *parts)
    if isinstance(node, ast.Tuple):
        return ast.copy_location(ast.Tuple([_key(item) for item in node.elts], ast.Load()), node)
    return node


def _hook(name: str, at: ast.AST, *arguments: ast.expr) -> ast.Call:
    hooks = ast.Attribute(ast.Name(HOOKS, ast.Load()), name, ast.Load())
    call = ast.Call(hooks, list(arguments), [])
    for node in (call, hooks, hooks.value, *[a for a in arguments if not hasattr(a, "lineno")]):
        ast.copy_location(node, at)
    _on_one_line(hooks)
    return call


def _on_one_line(attribute: ast.Attribute) -> ast.Attribute:
    """Python says of what uses an attribute that it is at the line where the attribute ends: for an expression over several
    lines, that would be its last bracket."""
    if attribute.end_lineno != attribute.lineno:
        attribute.end_lineno, attribute.end_col_offset = attribute.lineno, attribute.col_offset + 1
    return attribute
