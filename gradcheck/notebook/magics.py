"""The magics, and what a session of them keeps."""

import sys
from contextlib import suppress
from types import FrameType
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from gradcheck.notebook import show
from gradcheck.notebook.checking import Checked, check_cell
from gradcheck.notebook.fixing import fixed_cells, next_input
from gradcheck.notebook.options import cell_options, fix_options
from gradcheck.program.live import cell_number
from gradcheck.program.live_cell import CellText
from gradcheck.program.loops import LoopTable


class CellSyntaxError(Exception):
    """The cell is not Python. IPython would show where it was compiled, which is here; this shows the cell alone."""

    def __init__(self, shell: Any, error: SyntaxError) -> None:
        super().__init__(str(error))
        self._shell, self._error = shell, error

    def _render_traceback_(self) -> Any:
        return self._shell.SyntaxTB.structured_traceback(type(self._error), self._error, [])


@magics_class
class GradcheckMagics(Magics):
    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._loops = LoopTable()  # of every cell that was checked: its functions may be called later
        self._last: Checked | None = None

    @cell_magic
    def gradcheck(self, line: str, cell: str) -> None:
        """Run one training step of the cell, and show a report on its manual gradients. `--help` lists the options."""
        options = cell_options(line)
        if options is None:
            return
        shell: Any = self.shell
        text = typed_cell(shell, line, cell)
        try:
            checked = check_cell(shell, text, options.session, self._loops)
        except SyntaxError as error:
            raise CellSyntaxError(shell, error) from None
        if checked.report is not None:
            self._last = checked
            if options.into is not None:
                shell.user_ns[options.into] = checked.report
        show.checked(shell, checked, options.show_traceback)
        if checked.raised is not None:
            raised, checked.raised = checked.raised, None
            _let_go(raised)
            _show_as_without_us(shell, raised)
            raise raised

    @line_magic
    def gradcheck_fix(self, line: str) -> None:
        """Show the verified fixes of the cell that was checked last; `--apply` puts the fixed cell below this one."""
        options = fix_options(line)
        if options is None:
            return
        shell: Any = self.shell
        if self._last is None or self._last.report is None:
            raise UsageError(
                "%gradcheck_fix: no cell was checked yet; write `%%gradcheck` above the training cell"
            )
        fixed = fixed_cells(shell, self._last.report, self._last.text)
        if options["apply"]:
            cell = next_input(fixed, self._last.text.number, options["cell"])
            shell.set_next_input(cell.after, replace=False)
        show.fixed(shell, fixed, cell if options["apply"] else None)


def typed_cell(shell: Any, line: str, body: str) -> CellText:
    """The whole cell with the magic above it, so that its lines are counted as the notebook counts them."""
    body = body.rstrip("\n")  # the history keeps no empty lines at the end
    typed = shell.history_manager.input_hist_raw[-1] if shell.history_manager is not None else ""
    typed = typed.rstrip("\n")
    if not typed.endswith("\n" + body):  # it was not typed as a cell, or is not kept
        typed = f"%%gradcheck {line}".rstrip() + "\n" + body
    above = typed[: len(typed) - len(body)]
    first_line = above.count("\n") + 1
    running = _running_cell()
    if running is None:
        return CellText(typed, first_line, shell.execution_count)
    filename, number = running
    return CellText(typed, first_line, number, filename)


def _running_cell() -> tuple[str, int] | None:
    """The name of the code that runs, and the number beside it: the shell's own count is one further in some versions."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        number = cell_number(filename)
        if number is not None:
            return filename, number
        frame = frame.f_back
    return None


def _let_go(error: BaseException) -> None:
    """A traceback is kept until the next one, and with its frames all that they can reach. Nothing of the recording
    may be kept with them: neither by our frames, which have ended, nor by how those of the cell were watched."""
    entry = error.__traceback__
    frame = entry.tb_frame.f_back if entry is not None else None
    while frame is not None and frame.f_code is not GradcheckMagics.gradcheck.__code__:
        with suppress(RuntimeError):  # it is running: it does not belong to gradcheck
            frame.clear()
        frame = frame.f_back
    while entry is not None:
        entry.tb_frame.f_trace = None
        entry = entry.tb_next


def _show_as_without_us(shell: Any, error: BaseException) -> None:
    """IPython asks an exception, once, how to show it: from the cell on, without the magic around it."""
    trace = error.__traceback__

    def render() -> Any:
        with suppress(AttributeError):
            del error._render_traceback_  # type: ignore[attr-defined]
        return shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)

    if not hasattr(error, "_render_traceback_"):
        with suppress(AttributeError, TypeError):
            error._render_traceback_ = render  # type: ignore[attr-defined]


def load(shell: Any) -> None:
    shell.register_magics(GradcheckMagics)


def unload(shell: Any) -> None:
    for kind, name in (("cell", "gradcheck"), ("line", "gradcheck_fix")):
        shell.magics_manager.magics[kind].pop(name, None)
