"""What the functions of a program are handed over for an argument of a given name, as far as its source shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradcheck.program.reading.tree import called, defaults


@dataclass(frozen=True, slots=True)
class _Function:
    called: str  # the name it is called by: that of its class, for `__init__`
    definition: ast.FunctionDef | ast.AsyncFunctionDef
    is_method: bool


def handed_over(trees: Sequence[ast.Module], wanted: ast.Name) -> Iterator[ast.expr]:
    """The default of every argument `wanted`, and what is given for it in every call by position. (Calls that
    name it are found with the other assignments.) For an argument that is handed over in no visible way, `wanted`
    itself."""
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for function in _functions(trees):
        arguments = function.definition.args
        positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        keyword_only = [argument.arg for argument in arguments.kwonlyargs]
        if wanted.id not in positional and wanted.id not in keyword_only:
            continue
        found = [default for name, default in defaults(arguments).items() if name == wanted.id]
        for call in calls:
            if called(call) != function.called:
                continue
            if any(isinstance(a, ast.Starred) for a in call.args) or any(
                k.arg is None for k in call.keywords
            ):
                yield wanted
            position = positional.index(wanted.id) - function.is_method if wanted.id in positional else -1
            if 0 <= position < len(call.args):
                found.append(call.args[position])
            found += [keyword.value for keyword in call.keywords if keyword.arg == wanted.id]
        yield from (f for f in found or [wanted] if not found or not _is_same(f, wanted))


def _functions(trees: Sequence[ast.Module]) -> Iterator[_Function]:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef)
    methods: set[ast.AST] = set()
    for tree in trees:
        for node in ast.walk(tree):  # from the outside in: a class comes before its methods
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, definitions):
                        methods.add(inner)
                        name = node.name if inner.name == "__init__" else inner.name
                        static = any(ast.unparse(d) == "staticmethod" for d in inner.decorator_list)
                        yield _Function(name, inner, not static)
            elif isinstance(node, definitions) and node not in methods:
                yield _Function(node.name, node, False)


def _is_same(node: ast.expr, wanted: ast.Name) -> bool:
    return isinstance(node, ast.Name) and node.id == wanted.id
