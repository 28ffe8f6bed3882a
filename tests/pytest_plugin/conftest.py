"""A pytest of its own for every test here, with the plugin of this checkout and no other."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

from gradcheck.program import source
from tests.support import ROOT, in_child

LAYERS = """
import torch

class Linear:
    def __init__(self, fan_in, fan_out):
        self.W, self.b = torch.randn(fan_in, fan_out), torch.zeros(fan_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(0)
        return dout @ self.W.T

class Wrong(Linear):
    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.mean(0)
        return dout @ self.W.T
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Runs pytest in a child on a test file; the plugin is named, so that none is loaded twice. The child is forked,
    which has imported torch, or `fresh`."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(pytester.path))))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makepyfile(layers=LAYERS)

    def run_pytest(text: str, *arguments: str, plugin: bool = True, fresh: bool = False) -> pytest.RunResult:
        pytester.makepyfile(test_layers=text)
        named = ("-p", "gradcheck.pytest_plugin") if plugin else ()
        arguments = (*named, "-p", "no:cacheprovider", *arguments)
        if fresh:
            return pytester.runpytest_subprocess(*arguments)

        def main() -> int:
            sys.path.insert(0, str(pytester.path))
            sys.modules.pop("layers", None)  # those of other tests
            os.chdir(pytester.path)
            source._STARTED_IN = pytester.path
            return int(pytest.main(list(arguments)))

        output = pytester.path / "output"
        status = in_child(main, output=str(output))
        return pytest.RunResult(status, output.read_text().splitlines(), [], 0.0)

    return run_pytest
