"""Where an edit can be made: the statements of a program with their rows, its names and its training loops."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from benchmarks.innocent.bare import header, without_magics
from benchmarks.innocent.units import marked, marks_of
from benchmarks.planted.subjects import Subject


def read_unit(text: str, unit: int) -> cst.Module | str:
    try:
        return marked(text, unit)
    except cst.ParserSyntaxError:
        return text


def lines_of(module: cst.Module | str) -> dict[str, list[tuple[cst.SimpleStatementLine, tuple[int, int]]]]:
    """The statements that have a line to themselves and the rows they stand in, by their mark."""
    found: dict[str, list[tuple[cst.SimpleStatementLine, tuple[int, int]]]] = defaultdict(list)
    if isinstance(module, cst.Module):
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        for node, place in wrapper.resolve(PositionProvider).items():
            if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1:
                found[marks_of(node)[0]].append((node, (place.start.line, place.end.line)))
    return found


def all_names(module: cst.Module) -> set[str]:
    found: set[str] = set()

    class Names(cst.CSTVisitor):
        def visit_Name(self, node: cst.Name) -> None:  # noqa: N802
            found.add(node.value)

    module.visit(Names())
    return found


def training_loops(subject: Subject, texts: list[str]) -> set[str]:
    """What the training loops run over; the expectation beside the program says where they are."""
    expectation = subject.path.with_suffix(".toml")
    loops = tomllib.loads(expectation.read_text()).get("training_loop", []) if expectation.exists() else []
    found = set()
    for loop in loops:
        for node in ast.walk(ast.parse(without_magics(texts[loop.get("cell", 1) - 1]))):
            if isinstance(node, (ast.For, ast.While)) and node.lineno == loop["line"]:
                found.add(header(node))
    return found
