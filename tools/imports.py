"""The stages of gradcheck and what imports what: `python tools/imports.py` prints the graph.

`tests/test_architecture.py` reads the same facts: a stage imports only stages to its left, and no files import
each other in a circle. Imports inside functions count: they hide a circle, they do not remove it. Imports under
`TYPE_CHECKING` count as well, because a type belongs to a stage like a function does.
"""

import ast
import sys
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

# From left to right. This is the one place that says the order.
STAGES = (
    "base",
    "ops",
    "program",
    "fronts",
    "graph",
    "replay",
    "judge",
    "health",
    "checks",
    "diagnosis",
    "isolation",
    "report",
    "patch",
    "analysis",
    "layers",
    "api",
    "process",
    "cli",
    "notebook",
)
# The files of the package's root are entry points for other tools: they may import every stage.
ENTRANCE = "(root)"

PACKAGE = "gradcheck"
ROOT = Path(__file__).resolve().parents[1]


def module_files(root: Path = ROOT) -> dict[str, Path]:
    """Every module of the package with its file."""
    files = {}
    for file in sorted((root / PACKAGE).rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return files


def stage_of(module: str) -> str:
    """The stage that a module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in STAGES else ENTRANCE


def imported_modules(module: str, file: Path, modules: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """The modules of the package that a module imports, each with the line that does it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            # `from package import module` imports the module; anything else comes from the package itself.
            names = [name if name in modules else node.module for name in submodules]
        else:
            continue
        for name in dict.fromkeys(names):
            if name in modules and name != module:
                yield name, node.lineno


def import_graph(root: Path = ROOT) -> dict[str, dict[str, int]]:
    """For every module the modules it imports, each with the line that does it."""
    modules = module_files(root)
    return {name: dict(imported_modules(name, file, modules)) for name, file in modules.items()}


def upward_imports(graph: dict[str, dict[str, int]]) -> list[str]:
    """Imports of a stage further to the right, one sentence each."""
    order = {stage: position for position, stage in enumerate(STAGES)}
    order[ENTRANCE] = len(STAGES)
    return [
        f"{module}:{line} ({stage_of(module)}) imports {imported} ({stage_of(imported)})"
        for module, imports in graph.items()
        for imported, line in imports.items()
        if imported != PACKAGE and order[stage_of(imported)] > order[stage_of(module)]
    ]


def circles(graph: dict[str, dict[str, int]]) -> list[str]:
    """The shortest circle of imports through each module that is in one, every circle once."""
    found: dict[frozenset[str], str] = {}
    for start in graph:
        way = _way_back(graph, start)
        if way:
            found.setdefault(frozenset(way), " -> ".join(way))
    return list(found.values())


def _way_back(graph: dict[str, dict[str, int]], start: str) -> list[str]:
    """The modules on the shortest way from `start` to itself."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        module = queue.popleft()
        for imported in graph[module]:
            if imported == start:
                way = [module, start]
                while way[0] != start:
                    way.insert(0, came_from[way[0]])
                return way
            if imported not in came_from:
                came_from[imported] = module
                queue.append(imported)
    return []


def show(graph: dict[str, dict[str, int]]) -> str:
    """The stages with the stages each imports and how often, and what breaks the order."""
    lines = []
    for stage in (*STAGES, ENTRANCE):
        modules = [module for module in graph if stage_of(module) == stage]
        counts = Counter(stage_of(imported) for module in modules for imported in graph[module])
        imports = [f"{left} ({counts[left]})" for left in STAGES if left != stage and counts[left]]
        if modules:
            lines.append(f"{stage:<10} {len(modules):>3} files  imports {', '.join(imports) or 'nothing'}")
    lines += [f"to the right: {sentence}" for sentence in upward_imports(graph)]
    lines += [f"circle: {way}" for way in circles(graph)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(show(import_graph()) + "\n")
