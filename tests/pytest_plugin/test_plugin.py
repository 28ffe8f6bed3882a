"""The pytest plugin, run by pytest."""

from __future__ import annotations

import re
import tomllib

import pytest

from gradcheck.pytest_plugin import file_name
from tests.support import ROOT

ONE_LINE = """
import gradcheck, torch
from layers import Linear, Wrong

def test_right():
    gradcheck.assert_gradients(Linear(4, 3), torch.randn(8, 4))

def test_wrong():
    gradcheck.assert_gradients(Wrong(4, 3), torch.randn(8, 4))
"""


@pytest.mark.parametrize("plugin", [True, False])
def test_a_failure_shows_the_excerpt_and_nothing_of_ours(run, plugin):
    """The assertion needs no plugin at all."""
    result = run(ONE_LINE, plugin=plugin)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       gradcheck.assert_gradients(Wrong(4, 3), torch.randn(8, 4))",
            "E       gradcheck.GradientError: Wrong: 3 gradients: 1 introduced, 2 correct",
            "E       error[[]GC101[]]: `self.db` is not the gradient of `self.b`",
            "E           --> layers.py:19:19",
            "E        19 |         self.db = dout.mean(0)",
            "E           |                   ^^^^^^^^^^^^ relative error *",
            "test_layers.py:8: GradientError",
        ]
    )
    told = result.stdout.str()
    assert "assertions.py" not in told
    assert "model.py" not in told


SETTINGS = """
import gradcheck as package, pytest, torch
from layers import Linear, Wrong

X = torch.randn(8, 4)

def step():
    W = torch.randn(4, 3)
    y = X @ W
    loss = (y**2).sum()
    dy = 3 * y
    return loss, dy

def test_the_fixture(gradcheck):
    gradcheck.assert_gradients(Linear(4, 3), X)
    assert [f.rule for f in gradcheck.check(step).findings] == ["GC101"]
    with gradcheck.watch() as watched:
        step()
        gradcheck.pair(X, X)
    (finding,) = watched.report().findings
    assert finding.fix is not None

@pytest.mark.gradcheck(select="GC104")
def test_select(gradcheck):
    gradcheck.assert_gradients(Wrong(4, 3), X)
    assert not package.check(step).findings

@pytest.mark.gradcheck(ignore=["wrong-gradient"])
def test_ignore():
    package.assert_gradients(Wrong(4, 3), X)

@pytest.mark.gradcheck(total_budget=0)
def test_budget(gradcheck):
    assert gradcheck.settings.total_budget_s == 0
    assert gradcheck.check(step).findings[0].fix is None

@pytest.mark.gradcheck(thresholds={"GC202.tanh-limit": 0.5}, fix_budget=0)
class TestThresholds:
    @pytest.mark.gradcheck(fix_budget=1)
    def test_the_nearest_marker_goes_first(self, gradcheck):
        assert gradcheck.settings.thresholds == {"GC202.tanh-limit": 0.5}
        assert gradcheck.settings.fix_budget_s == 1

def test_afterwards_all_is_as_before(gradcheck):
    assert not gradcheck.settings.thresholds
    assert gradcheck.settings.fix_budget_s == 5
"""


def test_settings_hold_for_their_test(run):
    run(SETTINGS, "--strict-markers").assert_outcomes(passed=6)


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("select='GC901'", "there is no rule `GC901`"),
        ("thresholds={'GC202.tanh': 1}", "there is no threshold `GC202.tanh`"),
        ("selct='GC1'", "there is no `selct`; the keywords are select, ignore, thresholds, fix_budget"),
        ("'GC1'", "takes keywords alone"),
        ("fix_budget=-1", "a number of seconds from 0 up"),
    ],
)
def test_a_marker_that_cannot_be_is_told(run, marker, told):
    """A mistyped rule must not pass for a test that finds nothing."""
    text = f"import pytest\n@pytest.mark.gradcheck({marker})\ndef test_it(): pass\n"
    result = run(text)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"@pytest.mark.gradcheck: *{told}*"])


REPORTS = """
import gradcheck, pytest, torch
from layers import Linear, Wrong

@pytest.mark.parametrize("name", ["a/b", "../c", "ü", "x" * 300])
def test_wrong(name):
    gradcheck.assert_gradients(Wrong(4, 3), torch.randn(8, 4))

def test_right():
    gradcheck.assert_gradients(Linear(4, 3), torch.randn(8, 4))

def test_fails_otherwise():
    assert False

def test_asserts_on_a_report():
    def step(x):
        W = torch.randn(4, 3)
        loss = (x @ W).sum()
        dW = x.T @ torch.ones(8, 3)
    report = gradcheck.check(step, torch.randn(8, 4))
    assert report.summary["introduced"] == 1
"""


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")], ids=["one process", "xdist"])
def test_a_report_for_each_failing_test(run, pytester, workers):
    result = run(REPORTS, "--gradcheck-report=made/reports", *workers, fresh=bool(workers))
    result.assert_outcomes(passed=1, failed=6)
    folder = pytester.path / "made/reports"
    assert sorted(path.parent for path in pytester.path.rglob("*.md")) == [folder] * 5
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    wrong = [text for name, text in texts.items() if name.startswith("test_layers.test_wrong")]
    assert len(wrong) == 4
    assert all(
        "self.db = dout.mean(0)" in text and text.startswith("# Gradient report: Wrong") for text in wrong
    )
    assert any(name.startswith("test_layers.test_asserts_on_a_report-") for name in texts)
    result.stdout.fnmatch_lines(["*wrote *made/reports/test_layers.test_wrong*.md"])


def test_without_the_option_nothing_is_written(run, pytester):
    run(REPORTS, "-k", "asserts_on").assert_outcomes(failed=1, deselected=6)
    assert not list(pytester.path.rglob("*.md"))


def test_file_names_are_safe_and_no_two_the_same():
    tests = [
        "a.py::test[x]",
        "a.py::test[X]",
        "a.py::test[x/..]",
        "a.py::test[\N{SNOWMAN}]",
        "a.py::test[" + "x" * 400 + "]",
    ]
    names = [file_name(test) for test in tests]
    assert len({name.casefold() for name in names}) == len(tests)
    assert all(re.fullmatch(r"[A-Za-z0-9][\w.-]{0,120}", name, re.ASCII) for name in names)
    assert all(".." not in name for name in names)


def test_a_start_of_pytest_imports_no_torch(run):
    text = "def test_it():\n    import sys\n    assert 'torch' not in sys.modules\n"
    run(text, fresh=True).assert_outcomes(passed=1)


def test_it_is_loaded_by_itself_where_gradcheck_is_installed(run, pytester, monkeypatch):
    """By the entry point that pyproject.toml declares, in the way that an installation writes it down."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["entry-points"]["pytest11"]
    info = pytester.path / "gradcheck_of_this_checkout-0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: gradcheck-of-this-checkout\nVersion: 0\n"
    )
    lines = [f"{name} = {module}" for name, module in declared.items()]
    info.joinpath("entry_points.txt").write_text("\n".join(["[pytest11]", *lines]) + "\n")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    result = run("def test_it(gradcheck):\n    assert gradcheck.check\n", plugin=False, fresh=True)
    result.assert_outcomes(passed=1)


def test_the_fixture_and_the_marker_are_documented(run):
    run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.gradcheck(select=*"])
    run("", "--help").stdout.fnmatch_lines(["*--gradcheck-report=DIR*"])
