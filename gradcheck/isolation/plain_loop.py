"""The training loop of a recorded step in the person's source, and what the names around it held."""

import ast
from functools import cached_property
from types import CodeType
from typing import Any

from gradcheck.fronts.records import PlainBinding
from gradcheck.isolation.step import TrainingStep
from gradcheck.judge.judgement import Judgement
from gradcheck.program.loops import LoopSite
from gradcheck.program.reading.names import names_written
from gradcheck.program.reading.tree import Function, called

NUMBERS = (int, float, bool)


class RecordedLoop:
    """`node` is the loop. `tensors` are all names that ever held one."""

    def __init__(
        self, judgement: Judgement, step: TrainingStep, site: LoopSite, node: ast.For | ast.While
    ) -> None:
        self._recording, self._sources, self._step = judgement.recording, judgement.sources, step
        self._site = site
        self.node = node
        self.tensors = {binding.name for binding in judgement.recording.bindings}

    def at_end(self) -> dict[str, Any]:
        """The numbers that the names it sets held when the recorded step was over."""
        written = names_written(self.node) - self.tensors
        held = {name: self.bound[name].value for name in written if name in self.bound}
        found = {name: held.get(name, self.namespace.get(name)) for name in written}
        return {name: value for name, value in found.items() if type(value) in NUMBERS}

    @property
    def iteration(self) -> int:
        return self._step.judged.plan.iteration or 0

    def function(self, code: CodeType) -> Function | None:
        unit = self._sources.units.get(code.co_filename)
        return unit.tree.function(code.co_name, code.co_firstlineno) if unit is not None else None

    @cached_property
    def _scope(self) -> int:
        """That the loop is in."""
        where = self._site.filename, self._site.function.split(".")[-1] or "<module>"
        return next((op.scope for op in self._step.ops if (op.code.co_filename, op.code.co_name) == where), 0)

    @cached_property
    def bound(self) -> dict[str, PlainBinding]:
        """What the names beside the loop held last in the recorded step."""
        known = (b for b in self._recording.plain if b.scope == self._scope and b.when <= self._step.end)
        return {binding.name: binding for binding in known}

    @cached_property
    def namespace(self) -> dict[str, Any]:
        """The global names."""
        scope = self._recording.scopes.get(self._scope)
        return scope.namespace if scope is not None else {}

    def counting(self) -> tuple[str, ast.expr, ast.expr] | None:
        """Its variable that counts, where from, and by how much each time."""
        zero, one = ast.Constant(0), ast.Constant(1)
        if not isinstance(self.node, ast.For):
            return None
        target, over = self.node.target, self.node.iter
        while isinstance(over, ast.Call) and called(over) == "tqdm" and over.args:
            over = over.args[0]
        if not isinstance(over, ast.Call):
            return None
        name, given = called(over), over.args
        if name == "enumerate" and isinstance(target, ast.Tuple) and isinstance(target.elts[0], ast.Name):
            return target.elts[0].id, given[1] if len(given) > 1 else zero, one
        if not isinstance(target, ast.Name):
            return None
        if name == "count":
            return target.id, given[0] if given else zero, given[1] if len(given) > 1 else one
        if name in ("range", "trange"):
            return target.id, given[0] if len(given) > 1 else zero, given[2] if len(given) > 2 else one
        return None


def recorded_loop(judgement: Judgement, step: TrainingStep) -> RecordedLoop | None:
    """The loop whose iteration was recorded."""
    marks = judgement.recording.marks
    opened = {mark.loop for mark in marks if mark.what == "step" and mark.when == step.begin}
    closed = {mark.loop for mark in marks if mark.what == "step-end" and mark.when == step.end}
    sites = [
        site for number in opened & closed if (site := judgement.sources.loops.sites.get(number)) is not None
    ]
    for site in sites:
        unit = judgement.sources.units.get(site.filename)
        lines = site.line, site.end_line
        for node in unit.tree.nodes if unit is not None else ():
            if isinstance(node, (ast.For, ast.While)) and (node.lineno, node.end_lineno) == lines:
                return RecordedLoop(judgement, step, site, node)
    return None
