"""What the person has said about their gradients: `--pair d_A=A_1`, `# gradcheck: of A_1` on the line,
or `gradcheck.pair(A_1, d_A)` of the tensors themselves."""

from collections.abc import Iterable, Mapping

from gradcheck.fronts.tape import Binding, Pairing, Value
from gradcheck.program.comments import directives
from gradcheck.program.reading.names import targets_by_line
from gradcheck.program.source import SourceMap


class Stated:
    """The names of the forward values that gradients were said to belong to; the command line overrules a comment."""

    def __init__(
        self, pairs: Mapping[str, str], sources: SourceMap, pairings: Iterable[Pairing] = ()
    ) -> None:
        self._pairs = pairs
        self._sources = sources
        self._paired: dict[Value, list[Value]] = {}
        for pairing in pairings:
            self._paired.setdefault(pairing.gradient, []).append(pairing.of)
        self._comments: dict[str, dict[tuple[int, str], str]] = {}  # by file: line and gradient -> value

    def paired(self, gradient: Value) -> list[Value]:
        """The values themselves that `gradcheck.pair` has named for a gradient, which nothing overrules."""
        return self._paired.get(gradient, [])

    @property
    def all_paired(self) -> list[Value]:
        """All values that it has named for one."""
        return [value for values in self._paired.values() for value in values]

    def value_of(self, binding: Binding) -> tuple[str, str] | None:
        """The name of the value, and who said so."""
        if binding.name in self._pairs:
            return self._pairs[binding.name], "`--pair`"
        if binding.code is None:
            return None
        filename = binding.code.co_filename
        if filename not in self._comments:
            self._comments[filename] = self._read(filename)
        value = self._comments[filename].get((binding.line, binding.name))
        return (value, "its comment") if value is not None else None

    def _read(self, filename: str) -> dict[tuple[int, str], str]:
        unit = self._sources.unit(filename)
        comments = [d for d in directives(unit) if d.word == "of"] if unit is not None else []
        if unit is None or not comments:
            return {}
        targets = targets_by_line(unit.tree)
        found: dict[tuple[int, str], str] = {}
        for comment in comments:
            # One value for each gradient that the statement binds, in their order.
            values = [value.strip() for value in comment.rest.split(",")]
            line = comment.location.line
            gradients = [target.text for target in targets.get(line, ())]
            if len(values) == len(gradients):
                lines = {line} | unit.tree.lines(line)
                found |= {(at, g): v for at in lines for g, v in zip(gradients, values, strict=True)}
        return found
