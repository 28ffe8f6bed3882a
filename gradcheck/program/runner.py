"""Runs a loaded program once, undisturbed, and reports what happens to an observer.

A notebook goes on after a cell that raises, as its user would; a script ends there, as Python would end it.
What was observed until then counts either way.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from typing import Any

from gradcheck.base import progress
from gradcheck.program.data_files import DataFiles
from gradcheck.program.entry import find_function, import_target_module
from gradcheck.program.environment import Machinery, Surroundings
from gradcheck.program.errors import ProgramError
from gradcheck.program.faults import describe, missing_file, person_location, person_traceback
from gradcheck.program.imports import PersonFinder
from gradcheck.program.loop_watch import LoopWatch
from gradcheck.program.main_module import new_module
from gradcheck.program.observer import Observer
from gradcheck.program.outcome import Ending, RunOutcome
from gradcheck.program.program import Piece, Program, load
from gradcheck.program.source import SourceUnit
from gradcheck.program.stand_ins import StandInFinder
from gradcheck.program.target import TargetKind
from gradcheck.program.time_limit import StillRunning, TimeLimit
from gradcheck.program.writes.ending import PATIENCE_S, ProgramsEnd
from gradcheck.program.writes.hold import writes_held_back, written_by_program
from gradcheck.program.writes.tree import Tree

__all__ = ["Program", "RunOutcome", "load", "run"]

_really_exit = os._exit


def run(
    program: Program,
    observer: Observer,
    *,
    timeout_s: float = 120.0,
    data: dict[str, str] | None = None,
    allow_writes: bool = False,
) -> RunOutcome:
    """Runs `program` to its end, its time limit, or until the observer ends it. What it writes goes to a private folder,
    except with `allow_writes`.

    Raises ProgramError if there is nothing to run (no such function, no such module); whatever the program
    itself raises is part of the outcome.
    """
    return _Run(program, observer, timeout_s, data or {}, allow_writes).outcome_of_run()


class _Run:
    def __init__(
        self, program: Program, observer: Observer, timeout_s: float, data: dict[str, str], allow_writes: bool
    ) -> None:
        self._program = program
        self._observer = observer
        self._process = os.getpid()
        self._outcome = RunOutcome(skipped=list(program.skipped))
        self._module = new_module(program)
        self._limit = TimeLimit(timeout_s, program.sources)
        self._watch = LoopWatch(observer)
        self._data = DataFiles(data)
        self._end = ProgramsEnd(program.sources.is_user)
        self._allow_writes = allow_writes
        self._machinery = Machinery()

    def outcome_of_run(self) -> RunOutcome:
        progress.say(progress.Stage.RUNNING)
        try:
            with ExitStack() as cleanup:
                self._set_up(cleanup)
                try:
                    self._run_all()
                    self._limit.cancel()
                except StillRunning:  # between two units, where the observer works
                    self._ended(Ending.TIMEOUT)
        finally:
            self._leave_if_forked(1)
            progress.say(progress.Stage.ANALYSING)
        for name in sorted(self._data.used):
            self._note(f"`{name}` was not there: the file given by --data was read instead")
        return self._outcome

    def _set_up(self, cleanup: ExitStack) -> None:
        cleanup.enter_context(warnings.catch_warnings())  # filters the program sets must not be ours
        cuda = self._cuda_on_cpu()
        held = writes_held_back(self._program.sources.is_user, self._allow_writes)
        cleanup.callback(self._note_writes, cleanup.enter_context(held))
        surroundings = Surroundings(self._program, self._module)
        people = PersonFinder(self._program.sources, self._program.loops)
        stand_ins = StandInFinder(self._program.sources, self._note)
        for enter, leave in (
            (self._end.install, self._end.remove),
            (surroundings.enter, surroundings.leave),
            (stand_ins.install, stand_ins.remove),
            (people.install, people.remove),
            (self._data.install, self._data.remove),
            (lambda: None, self._finish),
            (self._watch.install, self._watch.turn_off),
            (self._observer.start, self._observer.stop),
            (self._machinery.keep, self._machinery.put_back),
        ):
            cleanup.callback(leave)  # first: what is half set up is undone too
            enter()
        cleanup.enter_context(cuda)
        cleanup.enter_context(self._scripted_as_python())
        self._limit.start()
        cleanup.callback(self._limit.cancel)

    def _cuda_on_cpu(self) -> AbstractContextManager[Any]:
        if not self._program.contains("cuda") or "torch" not in sys.modules:
            return nullcontext()
        from gradcheck.program.cuda import cuda_on_cpu  # imports torch, which not every observer does

        return cuda_on_cpu(self._note) or nullcontext()

    def _scripted_as_python(self) -> AbstractContextManager[Any]:
        if not any(map(self._program.contains, ("jit", "compile"))) or "torch" not in sys.modules:
            return nullcontext()
        from gradcheck.program.scripted import scripted_as_python

        return scripted_as_python(self._program.sources.is_user)

    def _run_all(self) -> None:
        kind = self._program.target.kind
        if kind is TargetKind.CALLABLE:
            self._run_callable()
        for piece in self._program.pieces:
            if not self._run_unit(piece.unit, partial(self._execute, piece)):
                return
        if kind is TargetKind.FUNCTION:
            self._run_unit(self._program.pieces[0].unit, find_function(self._program.target, self._module))

    def _finish(self) -> None:
        """As Python finishes a program. What it does then is not recorded."""
        if self._outcome.ended is Ending.TIMEOUT or os.getpid() != self._process:
            return
        limit = TimeLimit(min(self._limit.seconds, PATIENCE_S), self._program.sources)
        try:
            limit.start()
            for note in self._end.finish():
                self._note(note)
        except StillRunning:
            self._note(f"what the program does at its end was not finished after {limit.seconds:g} s")
        finally:
            limit.cancel()

    def _note_writes(self, tree: Tree | None) -> None:
        self._outcome.note_written(written_by_program(tree), way_out="; --allow-writes lets it write")

    def _run_callable(self) -> None:
        target = self._program.target
        unit = SourceUnit(f"<{target.module}>", target.module, "")

        def import_and_keep() -> None:
            self._module = import_target_module(target)

        if self._run_unit(unit, import_and_keep):
            function = find_function(target, self._module)
            self._run_unit(self._program.sources.unit(self._module.__file__ or "") or unit, function)

    def _execute(self, piece: Piece) -> None:
        if piece.error is not None:
            raise piece.error
        assert piece.code is not None
        exec(piece.code, vars(self._module))

    def _run_unit(self, unit: SourceUnit, action: Callable[[], Any]) -> bool:
        """Whether the run goes on with the next unit."""
        self._observer.unit_started(unit)
        try:
            try:
                action()
            finally:
                self._machinery.put_back()
            self._leave_if_forked(0)
            return True
        except ProgramError:
            raise
        except StillRunning:
            return self._ended(Ending.TIMEOUT)
        except SystemExit as request:
            self._leave_if_forked(request.code)
            code = "" if request.code is None else repr(request.code)
            self._outcome.explanation = f"the program called exit({code})"
            if request.code is not None and not isinstance(request.code, int):
                with suppress(Exception):  # as Python does
                    sys.stderr.write(f"{request.code}\n")
            self._outcome.ended_at = person_location(request, self._program.sources)
            return self._ended(Ending.EXIT)
        except BaseException as error:  # whatever a program may raise, KeyboardInterrupt among it
            if os.getpid() != self._process:
                traceback.print_exception(error)
                self._leave_if_forked(1)
            return self._failed(unit, error)
        finally:
            if os.getpid() == self._process:
                self._observer.unit_finished(unit, vars(self._module))

    def _failed(self, unit: SourceUnit, error: BaseException) -> bool:
        outcome, program = self._outcome, self._program
        fault = describe(error, unit, program.sources)
        missing = missing_file(error, fault, program.skipped, program.directory)
        if missing is not None:
            outcome.missing.append(missing)
        outcome.faults.append(fault)
        with suppress(Exception):  # the program may have closed or replaced it
            sys.stderr.write(person_traceback(error))
        if program.is_notebook:
            return True
        outcome.explanation = f"the program raised {fault}"
        outcome.ended_at = fault.location
        return self._ended(Ending.EXCEPTION)

    def _ended(self, ending: Ending) -> bool:
        self._outcome.ended = ending
        if ending is Ending.TIMEOUT:
            self._outcome.ended_at = self._limit.location
            where = f" at {self._limit.location}" if self._limit.location else ""
            self._outcome.explanation = f"still running after {self._limit.seconds:g} s{where}"
        return False

    def _note(self, text: str) -> None:
        if text not in self._outcome.notes:
            self._outcome.notes.append(text)

    def _leave_if_forked(self, status: object) -> None:
        """A child that the program forked must end here, and not write a second report."""
        if os.getpid() == self._process:
            return
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        _really_exit(status if isinstance(status, int) else 0 if status is None else 1)
