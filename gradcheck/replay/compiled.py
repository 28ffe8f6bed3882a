"""Nodes of the graph as straight-line Python, for what runs the same ones many times.

The calls are those that the runner makes, one line for each node, with one local variable for each tensor object. A write
changes its variable in place: the code is run from its beginning to its end, so that no old version is read again.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from gradcheck.fronts.tape import Number, Value
from gradcheck.graph.node import Node, Role
from gradcheck.graph.precision import Precision
from gradcheck.replay.runner import ReplayError

_LITERALS = (int, bool, str, type(None))


class StraightLine:
    """`lines` of code in the making. `defined` are the values that have a variable by now; `second` gives some of them
    another name, under which they are read while it is set."""

    def __init__(self, defined: set[Value]) -> None:
        self.lines: list[str] = []
        self.defined = defined
        self.second: Mapping[Value, str] = {}
        self._names: dict[Value, str] = {}
        # By identity, which lasts as long as they are kept here.
        self._constants: dict[int, tuple[str, Any]] = {}

    @property
    def namespace(self) -> dict[str, Any]:
        """What the constants in the code are called."""
        return dict(self._constants.values())

    def emit(self, line: str) -> None:
        self.lines.append(line)

    def define(self, value: Value, source: str) -> None:
        self.defined.add(value)
        self.emit(f"{self.name(value)} = {source}")

    def name(self, value: Value) -> str:
        return self._names.setdefault(value, f"v{len(self._names)}")

    def read(self, value: Value, second: bool = True) -> str:
        if value not in self.defined:
            raise ReplayError("the step reads a value whose making was not recorded")
        return (self.second.get(value) if second else None) or self.name(value)

    def constant(self, thing: Any) -> str:
        return self._constants.setdefault(id(thing), (f"c{len(self._constants)}", thing))[0]

    def node(
        self,
        node: Node,
        given: Mapping[tuple[int, int | str], str],
        without: Collection[str] = (),
        call: Callable[..., Any] | None = None,
    ) -> None:
        """The lines for a node, but for the keyword arguments in `without`; `given` are arguments that are computed in the
        code, by their op and position or name. `call` takes the place of its call."""
        if node.role is Role.REBIND:
            target, source = (self.read(value, second=False) for value in node.args[:2])
            self.emit(f"{target}.data = {source}")
            return
        arguments = [given.get((node.index, i)) or self.argument(a) for i, a in enumerate(node.args)]
        for name, thing in node.kwargs.items():
            if name in without:
                continue
            argument = given.get((node.index, name)) or self.argument(thing)
            arguments.append(f"{name}={argument}" if name.isidentifier() else f"**{{{name!r}: {argument}}}")
        self._result(node, f"{self.constant(call or node.call)}({', '.join(arguments)})")

    def _result(self, node: Node, call: str) -> None:
        out = node.out
        in_place = node.role in (Role.WRITE, Role.FILL) and not (
            "out" in node.kwargs and out not in self.second
        )
        if isinstance(out, Value) and not (in_place and out in self.defined):
            self.define(out, call)
        elif isinstance(out, tuple):
            self.emit(f"several = {call}")
            self._unpack(out, "several")
        else:
            self.emit(call)

    def _unpack(self, out: tuple[Any, ...], source: str) -> None:
        for i, item in enumerate(out):
            if isinstance(item, Value):
                self.define(item, f"{source}[{i}]")
            elif isinstance(item, tuple):
                self._unpack(item, f"{source}[{i}]")

    def argument(self, thing: Any) -> str:
        kind = type(thing)
        if kind is Value:
            return self.read(thing)
        if kind is Number:
            known = thing.source in self.defined
            return f"{self.read(thing.source, second=False)}.item()" if known else repr(thing.was)
        if kind in _LITERALS:
            return repr(thing)
        if kind is Precision:
            return self.constant(thing.was)
        if kind is list:
            return f"[{', '.join(map(self.argument, thing))}]"
        if kind is tuple:
            return f"({', '.join(map(self.argument, thing))},)" if thing else "()"
        if kind is dict:
            return "{" + ", ".join(f"{k!r}: {self.argument(v)}" for k, v in thing.items()) + "}"
        if kind is slice:
            return f"slice({', '.join(map(self.argument, (thing.start, thing.stop, thing.step)))})"
        return self.constant(thing)
