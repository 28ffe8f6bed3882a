"""`gradcheck layer`: exit status, formats, and commands that show a failure again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from gradcheck.layers.making import input_term
from gradcheck.layers.options import LayerOptions, keywords_of
from gradcheck.layers.run import run_layer
from tests.support import ROOT

WRONG, RIGHT = "tests/layers/wrong.py", "tests/layers/right.py"


pytestmark = pytest.mark.usefixtures("forked")


@pytest.fixture(autouse=True)
def _started_in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_a_wrong_layer_and_the_command_that_shows_it_again(invoke):
    run = invoke("layer", "tests.layers.wrong:BatchNormWithoutGamma", "--fix-budget", "0")
    assert run.status == 1, run.err
    again = next(line.split("rerun: ")[1] for line in run.out.splitlines() if "rerun: " in line)
    assert again == "gradcheck layer tests.layers.wrong:BatchNormWithoutGamma --shape 2,1 --seed 0"
    second = invoke(*shlex.split(again)[1:])
    assert second.status == 1
    assert "1 case: 1 failed" in second.out
    assert "^^^" in second.out


def test_a_right_layer_as_json(invoke):
    run = invoke("layer", f"{RIGHT}::affine_forward,affine_backward", "--format", "json")
    assert run.status == 0, run.err
    data = json.loads(run.out)
    assert data["exit_status"] == 0
    assert data["summary"]["passed"] >= 6
    assert {case["status"] for case in data["cases"]} <= {"passed", "not run", "not tried"}


def test_what_cannot_be_used_is_told_in_two_lines(invoke):
    run = invoke("layer", f"{RIGHT}::BatchNrm")
    assert run.status == 2
    assert run.err == "error: there is no `BatchNrm` in `right.py`\nhelp: did you mean `BatchNorm`?\n"
    assert invoke("layer", f"{RIGHT}::A,B,C").status == 2
    assert invoke("layer", f"{RIGHT}::Relu", "--input", "four").status == 2
    assert invoke("layer", f"{RIGHT}::Relu", "--case", "eval mode").status == 2


@pytest.mark.parametrize(
    "name",
    [
        "Untransposed",
        "LazyBias",
        "BatchNormOneMode",
        "EmbeddingAssigned",
        "CrossEntropySummed",
        "RnnCellSwapped",
        "ScaledUnsummed",
    ],
)
def test_every_command_shows_its_failure_again(name):
    first = run_layer(LayerOptions(f"tests.layers.wrong:{name}", fix_budget_s=0.0))
    smallest = first.failures[0].smallest
    words = shlex.split(smallest.command)
    said = dict(zip(words[3::2], words[4::2], strict=True))
    shapes = tuple(words[n + 1] for n, word in enumerate(words) if word == "--shape")
    assert [input_term(shape) for shape in shapes]
    second = run_layer(
        LayerOptions(
            words[2],
            kwargs=said.get("--kwargs", ""),
            inputs=shapes,
            exact=True,
            case=said.get("--case"),
            seed=int(said["--seed"]),
            fix_budget_s=0.0,
        )
    )
    assert len(second.cases) == 1
    assert second.cases[0].shapes == smallest.shapes
    assert second.failures[0].smallest.arguments == smallest.arguments
    where = first.failures[0].report.findings[0].location
    assert second.failures[0].report.findings[0].location == where


def test_a_module_that_raises_is_told_at_its_line(tmp_path: Path, invoke):
    path = tmp_path / "broken.py"
    path.write_text("import torch\nx = torch.zeros(2) @ torch.zeros(3)\n")
    run = invoke("layer", f"{path}::Layer")
    assert run.status == 2
    assert "broken.py:2" in run.err
    assert "Traceback" not in run.err


def test_keywords_are_read_as_in_a_call():
    assert keywords_of("size=3, bias=False, shape=(2, 3)") == (
        ("size", 3),
        ("bias", False),
        ("shape", (2, 3)),
    )
