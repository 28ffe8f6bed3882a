"""What a start costs: `import gradcheck`, and pytest with the plugin, import no torch."""

from __future__ import annotations

import doctest
import importlib
import os
import subprocess
import sys

import pytest

import gradcheck
from tests.support import ROOT

PUBLIC = (
    "gradcheck.analysis.watching",
    "gradcheck.api.checking",
    "gradcheck.api.pairing",
    "gradcheck.api.assertions",
)
MOST_MS = 50
TIMED = """
import sys, time
for _ in range(3):
    start = time.perf_counter()
    import gradcheck
    print(time.perf_counter() - start)
    for name in [name for name in sys.modules if name.partition(".")[0] == "gradcheck"]:
        del sys.modules[name]
"""


def run(code: str) -> str:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


def test_torch_is_not_imported():
    starts = (
        "import gradcheck",
        "import gradcheck.pytest_plugin",
        "import gradcheck.analysis.settings",
        "from gradcheck.cli.commands import cli; from click.testing import CliRunner; CliRunner().invoke(cli, ['--help'])",
    )
    seen = "print(sys.modules.keys() & {'torch', 'numpy', 'IPython'})"
    assert run("import sys\n" + "\n".join(f"{start}; {seen}" for start in starts)) == "\n".join(["set()"] * 4)


def test_the_import_is_quick():
    assert min(map(float, run(TIMED).split())) * 1000 < MOST_MS


def test_every_public_name_is_there():
    for name in gradcheck.__all__:
        assert getattr(gradcheck, name) is not None
        assert name in dir(gradcheck)
    with pytest.raises(AttributeError, match="has no attribute 'wach'"):
        gradcheck.wach  # noqa: B018


def test_it_is_typed():
    assert (ROOT / "gradcheck/py.typed").exists()


@pytest.mark.parametrize("module", PUBLIC)
def test_the_examples_in_docstrings_run(module):
    outcome = doctest.testmod(importlib.import_module(module))
    assert outcome.attempted > 3
    assert outcome.failed == 0
