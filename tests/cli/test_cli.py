"""The words of the command line: one clear line for what cannot be used, and exit status 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.cli import report as cli_report
from gradcheck.cli.commands import cli


@pytest.mark.parametrize(
    ("arguments", "error", "help_"),
    [
        (("report", "nowhere.py"), "`nowhere.py` does not exist", "a target is"),
        (("report", "a.py", "--at", "1,-2"), "--at: `1,-2` is not a list of iterations", "--at 0,100"),
        (("report", "a.py", "--at", ""), "--at: `` is not a list", ""),
        (("report", "a.py", "--pair", "dA"), "--pair: `dA` is not of the form d_A=A_1", ""),
        (("report", "a.py", "--data", "x=nowhere"), "--data: `nowhere` does not exist", ""),
        (("report", "a.py", "--cwd", "nowhere"), "--cwd: `nowhere` does not exist", ""),
        (("report", "a.py", "--timeout", "0"), "--timeout: 0 is not a positive number of seconds", ""),
        (("report", "a.py", "--timeout", "nan"), "--timeout: nan is not a positive number of seconds", ""),
        (("report", "a.py", "--timeout", "soon"), "invalid value for '--timeout'", "gradcheck report --help"),
        (("report", "a.py", "--format", "pdf"), "invalid value for '--format'", "gradcheck report --help"),
        (("report", "a.py", "--select", "XY"), "there is no rule `XY`", "gradcheck rules"),
        (
            ("report", "a.py", "--threshold", "GC202.tanh-limt=1"),
            "--threshold: there is no threshold `GC202.tanh-limt`",
            "did you mean `GC202.tanh-limit`?",
        ),
        (
            ("report", "a.py", "--threshold", "GC202.tanh-limit=1.5"),
            "--threshold: `GC202.tanh-limit` must be from 0 to 1, not 1.5",
            "the default is 0.97",
        ),
        (
            ("report", "a.py", "--threshold", "GC202.tanh-limit=high"),
            "must be a number, not 'high'",
            "the default is 0.97",
        ),
        (("report", "a.py", "--threshold", "GC202"), "is not of the form GC202.tanh-limit=0.95", ""),
        (("report", "a.py", "a.py", "-o", "x"), "--output names one file, but there are 2 targets", ""),
        (("report", "--wrong"), "no such option", "gradcheck report --help"),
        (("report",), "no target given", "[tool.gradcheck]"),
        (("reprot",), "no such command 'reprot'", "gradcheck --help"),
        (("rule", "GC1001"), "there is no rule `GC1001`", "did you mean"),
    ],
)
def test_arguments_that_cannot_be_used(invoke, tmp_path, monkeypatch, arguments, error, help_):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")
    result = invoke(*arguments)
    assert result.status == 2
    assert result.out == ""
    first, *rest = result.err.splitlines()
    assert first.startswith("error: ")
    assert error.lower() in first.lower()
    assert help_ in "\n".join(rest)
    assert sorted(os.listdir(tmp_path)) == ["a.py"]


@pytest.mark.usefixtures("stub_session")
class TestReport:
    def test_options_reach_the_session(self, invoke, tmp_path):
        Path("a.py").write_text("print('from the program')\n")
        Path("words.txt").write_text("")
        result = invoke(
            "report", "a.py", "--at", "100,0,0", "--loss", "l", "--pair", "d_A=A_1", "--pair", "dB=B",
            "--data", "n.txt=words.txt", "--timeout", "7", "--select", "GC1", "--ignore", "GC102,GC106",
            "--threshold", "gc202.tanh-limit=0.9", "--threshold", "GC202.saturated-share=1", "--format", "json",
        )  # fmt: skip
        assert (result.status, result.err) == (0, "")
        report = json.loads(result.out)
        assert report["target"] == "a.py"
        assert report["program"]["notes"][-1] == repr(
            {
                "target": "a.py", "cwd": None, "arguments": (), "at": (0, 100), "loss": "l",
                "pairs": {"d_A": "A_1", "dB": "B"},
                "data": {"n.txt": str(tmp_path / "words.txt")}, "allow_writes": False, "timeout_s": 7.0,
                "memory_gb": None, "fix_budget_s": 5.0, "total_budget_s": None,
                "sweep": 64, "samples": None,
                "select": ("GC1",),
                "ignore": ("GC102", "GC106"),
                "thresholds": {"GC202.tanh-limit": 0.9, "GC202.saturated-share": 1.0},
            }
        )  # fmt: skip

    def test_exit_status_is_the_worst(self, invoke):
        Path("fine.py").write_text("x = 1\n")
        Path("wrong.py").write_text("# finding\n")
        Path("broken.py").write_text("x = = 1\n")
        assert invoke("report", "fine.py").status == 0
        assert invoke("report", "wrong.py").status == 1
        result = invoke("report", "broken.py", "wrong.py", "fine.py", "--format", "json")
        assert result.status == 2
        assert result.err == "error: broken.py:1: invalid syntax\n1 | x = = 1\n  |     ^\n"
        broken, *others = json.loads(result.out)
        assert (broken["target"], broken["exit_status"]) == ("broken.py", 2)
        assert broken["error"]["message"] == "broken.py:1: invalid syntax"
        assert [r["target"] for r in others] == ["wrong.py", "fine.py"]

    def test_errors_of_several_targets_name_them(self, invoke):
        for name in ("a.py", "b.py"):
            Path(name).write_text(
                "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n# analysis fails\n"
            )
        Path("c.py").write_text("x = 1\n")
        Path("d.ipynb").write_text("")
        result = invoke("report", "a.py", "b.py", "c.py", "d.ipynb")
        errors = [line for line in result.err.splitlines() if line.startswith("error: ")]
        assert [error.split("`")[1] for error in errors] == ["a.py", "b.py", "d.ipynb"]
        assert json.loads(invoke("report", "a.py", "--format", "json").out)["exit_status"] == 2

    def test_strict_fails_where_nothing_was_established(self, invoke):
        Path("fine.py").write_text("x = 1\n")
        assert invoke("report", "fine.py").status == 0
        assert invoke("report", "fine.py", "--strict").status == 1

    def test_output_goes_where_it_is_told(self, invoke):
        Path("a.py").write_text("print('from the program')\n")
        result = invoke("report", "a.py", "--format", "markdown")
        assert (result.out, result.err) == ("", "wrote reports/a.md\n")
        assert Path("reports/a.md").read_text().startswith("#")
        assert invoke("report", "a.py", "--format", "markdown", "-o", "-").out.startswith("#")
        invoke("report", "a.py", "--format", "json", "-o", "deep/er/a.json")
        assert json.loads(Path("deep/er/a.json").read_text())["target"] == "a.py"
        result = invoke("report", "a.py", "-o", "deep")
        assert (result.status, result.err) == (
            2,
            "error: --output: `deep` cannot be written: Is a directory\n",
        )

    def test_program_output_is_shown_on_request(self, invoke):
        Path("a.py").write_text("import sys\nprint('to out')\nprint('to err', file=sys.stderr)\n")
        assert "to out" not in (shown := invoke("report", "a.py")).out + shown.err
        result = invoke("report", "a.py", "--show-output")
        assert result.err == "to out\nto err\n"
        assert "to out" not in result.out

    def test_internal_errors_are_one_line_and_a_traceback_on_request(self, invoke):
        Path("a.py").write_text("# analysis fails\n")
        result = invoke("report", "a.py")
        assert result.status == 2
        assert result.err == (
            "error: internal error of gradcheck, please report it: ZeroDivisionError: in the analysis\n"
            "help: --traceback shows the details\n"
        )
        assert "Traceback" in invoke("report", "a.py", "--traceback").err

    def test_targets_of_the_nearest_pyproject(self, invoke, tmp_path, monkeypatch):
        Path("pyproject.toml").write_text(
            '[tool.gradcheck]\ntargets = ["sub/a.py", "mod:step"]\ntimeout = 9\n'
        )
        Path("sub/deeper").mkdir(parents=True)
        Path("sub/a.py").write_text("x = 1\n")
        Path("mod.py").write_text("def step(): pass\n")
        Path("sub/pyproject.toml").write_text("[project]\nname = 'other'\n")
        monkeypatch.chdir(tmp_path / "sub" / "deeper")
        result = invoke("report", "--format", "json")
        assert result.err == ""
        first, second = json.loads(result.out)
        assert first["target"] == str(tmp_path / "sub" / "a.py")
        assert "'timeout_s': 9" in first["program"]["notes"][-1]
        assert second["target"] == "mod:step"
        assert second["program"]["notes"][0] == "completed"

    @pytest.mark.parametrize(
        "table",
        [
            '[tool.gradcheck.thresholds]\n"GC202.tanh-limit" = 0.9\n"GC202.saturated-share" = 1',
            "[tool.gradcheck.thresholds.GC202]\ntanh-limit = 0.9\nsaturated-share = 1",
            "[tool.gradcheck.thresholds]\nGC202.tanh-limit = 0.9\ngc202.saturated-share = 1",
        ],
    )
    def test_thresholds_of_pyproject_and_the_command_line_overrules_them(self, invoke, table):
        Path("pyproject.toml").write_text(table + "\n")
        Path("a.py").write_text("x = 1\n")
        for arguments, tanh in (((), 0.9), (("--threshold", "GC202.tanh-limit=0.5"), 0.5)):
            report = json.loads(invoke("report", "a.py", "--format", "json", *arguments).out)
            thresholds = {"GC202.tanh-limit": tanh, "GC202.saturated-share": 1.0}
            assert f"'thresholds': {thresholds}" in report["program"]["notes"][-1]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("targets = ", "is not TOML"),
        ("[tool]\ngradcheck = 3", "`tool.gradcheck` must be a table"),
        ("[tool.gradcheck]\ntargets = 'a.py'", "`targets` must be a list of strings, not 'a.py'"),
        ("[tool.gradcheck]\ntarget = []", "there is no key `target`"),
        ("[tool.gradcheck]\ntimeout = -1", "`timeout` must be a number of seconds above 0"),
        ("[tool.gradcheck]\nthreshold = 1", "did you mean `thresholds`?"),
        ("[tool.gradcheck]\nthresholds = 1", "[tool.gradcheck.thresholds] must be a table, not 1"),
        (
            "[tool.gradcheck.thresholds]\n'GC202.tanh' = 1",
            "[tool.gradcheck.thresholds]: there is no threshold `GC202.tanh`\n"
            "help: did you mean `GC202.tanh-limit`?",
        ),
        (
            "[tool.gradcheck.thresholds.GC202]\ntanh-limit = '1'",
            "`GC202.tanh-limit` must be a number, not '1'",
        ),
        (
            "[tool.gradcheck.thresholds.GC202]\ntanh-limit = 2",
            "`GC202.tanh-limit` must be from 0 to 1, not 2\nhelp: the default is 0.97",
        ),
        (
            "[tool.gradcheck.thresholds]\n'GC202.tanh-limit' = 1\nGC202 = { tanh-limit = 1 }",
            "`GC202.tanh-limit` is set twice",
        ),
    ],
)
def test_config_that_cannot_be_used(invoke, tmp_path, monkeypatch, text, error):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gradcheck.program.source._STARTED_IN", tmp_path)
    (tmp_path / "pyproject.toml").write_text(text + "\n")
    result = invoke("report")
    assert result.status == 2
    assert error in result.err
    assert "`pyproject.toml`" in result.err


def test_a_deleted_current_directory(command, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    result = command("report", "a.py", cwd=gone, preexec_fn=gone.rmdir)
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == "error: the current directory no longer exists"


def test_light_commands_import_no_torch(tmp_path):
    text = (
        "import sys\nfrom gradcheck.cli.commands import cli\n"
        "class Refuse:\n    def find_spec(self, name, *_):\n"
        "        if name in ('torch', 'IPython', 'pandas', 'matplotlib'): raise SystemError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "for line in sys.stdin:\n"
        "    print(line, cli.main(line.split(), 'gradcheck', standalone_mode=False))\n"
    )
    root = str(Path(cli_report.__file__).parents[2])
    lines = "--help\n--version\nrules\nrules --thresholds\nrule GC101\nreport --help\nfix --help\n"
    result = subprocess.run(
        [sys.executable, "-c", text], input=lines, capture_output=True, text=True, check=False, cwd=root
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout[-200:]


def test_rules_and_rule(invoke):
    assert "GC101  error    wrong-gradient" in invoke("rules").out
    for name in ("GC101", "gc101", "wrong-gradient"):
        page = invoke("rule", name).out
        assert page.startswith("## GC101 wrong-gradient")
        assert "### Why is this bad?" in page


def test_rules_lists_the_thresholds(invoke):
    text = invoke("rules", "--thresholds").out
    assert "| `GC202.tanh-limit` " in text
    assert "Karpathy" in text
    assert "wrong-gradient" not in text


def test_help_is_a_manual_page(invoke):
    text = invoke("report", "--help").out
    for part in ("TARGETS", "EXIT STATUS", "EXAMPLES", "introduced", "script.py::function", "--pair"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    root = str(Path(cli_report.__file__).parents[2])
    line = f"{sys.executable} -m gradcheck rules | true"
    result = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, cwd=root)
    assert result.stderr == ""


def test_the_shell_completes_commands_and_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the lines of docs/configuration.md have it asked."""
    monkeypatch.setenv("_GRADCHECK_COMPLETE", "bash_complete")
    for words, wanted in (("gradcheck rep", "report"), ("gradcheck report --fail", "--fail-on")):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        with pytest.raises(SystemExit):
            cli.main(prog_name="gradcheck", standalone_mode=False)
        assert f"plain,{wanted}\n" in capsys.readouterr().out
