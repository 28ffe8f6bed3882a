"""A shell of IPython in this process, with the magics loaded."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import IPython
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from gradcheck.report.model import Report
from tests.support import torch_settings_kept


class Notebook:
    """Cells are run one after the other, and what a front end would be shown is kept."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.pages: list[str] = []
        self.plain: list[str] = []
        self.next_inputs: list[str] = []

    @property
    def names(self) -> dict[str, Any]:
        return self.shell.user_ns

    @property
    def page(self) -> str:
        return self.pages[-1]

    def run(self, cell: str) -> Any:
        """As a front end sends it; the result tells what was raised."""
        return self.shell.run_cell(cell, store_history=True)

    def check(self, cell: str) -> Report:
        result = self.run(cell)
        assert result.success, result.error_in_exec or result.error_before_exec
        return self.report

    @property
    def magics(self) -> Any:
        return self.shell.magics_manager.registry["GradcheckMagics"]

    @property
    def report(self) -> Report:
        return self.magics._last.report


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)  # as a program that ran before may leave it
    monkeypatch.setattr(sys, "path", list(sys.path))
    builtin_names = set(vars(builtins))
    config = Config()
    config.HistoryManager.enabled = False  # no file; what was typed is kept all the same
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    found = Notebook(shell)
    shell.kernel = SimpleNamespace()  # outputs go to a front end

    def publish(data: dict[str, str], *_: Any, **__: Any) -> None:
        found.pages.append(data.get("text/html", ""))
        found.plain.append(data["text/plain"])

    monkeypatch.setattr(shell.display_pub, "publish", publish)
    monkeypatch.setattr(shell, "set_next_input", lambda text, replace=False: found.next_inputs.append(text))
    with torch_settings_kept():
        torch.manual_seed(0)
        try:
            found.run("%load_ext gradcheck")
            yield found
        finally:
            shell.restore_sys_module_state()
            InteractiveShell.clear_instance()
            for name in set(vars(builtins)) - builtin_names:  # `display` among them
                if not name.startswith("__gradcheck_"):
                    delattr(builtins, name)
