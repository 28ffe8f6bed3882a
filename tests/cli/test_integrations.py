"""The action and the hook that other repositories use: their commands are run as they stand."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT

PROGRAM = """
import torch
torch.manual_seed(0)
x, w = torch.randn(4, 3), torch.randn(3, 2)
h = torch.tanh(x @ w)
loss = (h**2).sum()
dh = 2 * h
dz = dh * (1 - h)
dw = x.T @ dz
"""


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my program.py").write_text(PROGRAM)
    Path("a.py").write_text(PROGRAM.replace("(1 - h)", "(1 - h**2)"))


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def run(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(("targets", "status"), [("*.py", 1), ("a.py\nno*.py", 0)])
def test_the_action(targets: str, status: int, tmp_path: Path) -> None:
    (step,) = [step for step in read("action.yml")["runs"]["steps"] if "TARGETS" in step.get("env", {})]
    done = run(
        "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].replace("python ", f"{sys.executable} "),
        TARGETS=targets, OPTIONS="--fix-budget 0", GITHUB_STEP_SUMMARY=str(tmp_path / "summary"),
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert "::notice title=gradcheck::a.py: 3 gradients: 3 correct\n" in done.stdout
    assert ("::error file=my program.py,title=GC101 wrong-gradient,line=8," in done.stdout) is (status == 1)
    assert "# Gradient report: a.py" in (tmp_path / "summary").read_text()


def test_the_hook() -> None:
    (hook,) = read(".pre-commit-hooks.yaml")
    name, *options = shlex.split(hook["entry"])
    assert name == "gradcheck"
    done = run(sys.executable, "-m", "gradcheck", *options, "my program.py")
    assert done.returncode == 1
    assert done.stdout.startswith("my program.py: 3 gradients: 1 introduced")
