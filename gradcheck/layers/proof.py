"""Whether an edit of a layer holds: the layer is run with it in every case, and nothing may be wrong that was right."""

import linecache
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType

from gradcheck.diagnosis.found import Found
from gradcheck.judge.verdict import Verdict
from gradcheck.layers.outcome import Outcome, run_trial
from gradcheck.layers.subject import Subject
from gradcheck.layers.trial import Trial
from gradcheck.program.hooked_code import codes_in, compiled, functions_of, is_followed

_WRONG = {Verdict.INTRODUCED.value, Verdict.INHERITED.value, Verdict.COMPENSATED.value}


@dataclass(slots=True)
class Everywhere:
    """Asked of an edit for the gradient `name`: is that right with it in every case, and nothing else worse?"""

    subject: Subject
    name: str
    cases: Sequence[tuple[Trial, Outcome]]  # those that ran, and what they showed; failing ones first

    def __call__(self, found: Found) -> bool:
        change = found.text_change
        filename = found.site.unit.filename
        text = "".join(linecache.getlines(filename))
        if change is None or not text:
            return False
        line, end_line, column, end_column = change.span
        lines = text.split("\n")
        first = lines[line - 1].encode()[:column].decode()
        last = lines[end_line - 1].encode()[end_column:].decode()
        edited = "\n".join([*lines[: line - 1], first + change.text + last, *lines[end_line:]])
        try:
            with _running(filename, text, edited):
                return all(self._holds(trial, before, filename, edited) for trial, before in self.cases)
        except (SyntaxError, ValueError):  # it cannot be put in the place of the old code
            return False

    def _holds(self, trial: Trial, before: Outcome, filename: str, edited: str) -> bool:
        after = run_trial(self.subject, trial, edited={filename: edited})
        if after.report is None:
            return False
        wrong = _wrong(after)
        still = after.right >= before.right and self._right_for(after) >= self._right_for(before)
        return self.name not in wrong and wrong <= _wrong(before) and still

    def _right_for(self, outcome: Outcome) -> set[str | None]:
        rows = outcome.report.rows if outcome.report is not None else ()
        return {row.of for row in rows if row.name == self.name and row.verdict is Verdict.CORRECT}


def _wrong(outcome: Outcome) -> set[str]:
    return {name for name, verdict in outcome.judged.items() if verdict in _WRONG}


@contextmanager
def _running(filename: str, text: str, edited: str) -> Iterator[None]:
    """Functions of the file run the edited text for as long: they stay the same objects. Raises ValueError."""
    hooked = is_followed(filename)
    old, new = (codes_in(compiled(each, filename, hooked=hooked)) for each in (text, edited))
    if [code.co_qualname for code in old] != [code.co_qualname for code in new]:
        raise ValueError("the edit makes or removes a function")
    places = {(code.co_qualname, code.co_firstlineno): number for number, code in enumerate(old)}
    changed: list[tuple[FunctionType, CodeType]] = []
    try:
        for function in functions_of({filename}):
            code = function.__code__
            number = places.get((code.co_qualname, code.co_firstlineno))
            if number is not None and new[number] != code:
                function.__code__ = new[number]
                changed.append((function, code))
        yield
    finally:
        for function, code in changed:
            function.__code__ = code
