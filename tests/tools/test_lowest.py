"""What is claimed of versions can be tested: each requirement has a lowest version, and the workflow names every Python."""

from __future__ import annotations

import tomllib

import yaml

from tests.support import ROOT
from tools.lowest import EXTRAS, lowest

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_each_requirement_has_a_lowest_version() -> None:
    project = tomllib.loads(PYPROJECT)["project"]
    needed = list(project["dependencies"])
    for extra in EXTRAS:
        needed += [
            each for each in project["optional-dependencies"][extra] if not each.startswith("gradcheck[")
        ]
    assert lowest(PYPROJECT) == sorted({each.replace(">=", "==") for each in needed})
    assert all("==" in each for each in lowest(PYPROJECT))


def test_the_workflow_runs_the_lowest_python_and_newer_ones() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "versions.yml").read_text(encoding="utf-8"))[
        "jobs"
    ]
    claimed = tomllib.loads(PYPROJECT)["project"]["requires-python"].removeprefix(">=")
    assert jobs["newest"]["strategy"]["matrix"]["python"][0] == claimed
    assert {"ubuntu-latest"} | {each["os"] for each in jobs["newest"]["strategy"]["matrix"]["include"]} == {
        "ubuntu-latest",
        "macos-latest",
        "windows-latest",
    }
    ends = {each["versions"]: each["python"] for each in jobs["ends"]["strategy"]["matrix"]["include"]}
    assert ends == {"lowest": claimed, "other": jobs["newest"]["strategy"]["matrix"]["python"][-1]}
    assert "if" not in jobs["ends"]  # with every change
