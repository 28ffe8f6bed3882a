"""What `gradcheck mcp` offers to coding agents: the same as `--format json`, and no second run of what has not changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gradcheck.base.options import SessionOptions
from gradcheck.cli import agents
from gradcheck.cli.agents import Tools
from gradcheck.process.child import ChildResult
from gradcheck.program.errors import ProgramError
from tests.cli.conftest import Invoke
from tests.support import ROOT, in_child

PROGRAM = """\
import torch
torch.manual_seed(0)
x, y = torch.randn(16, 4), torch.randn(16, 2)
W1, W2 = torch.randn(4, 5), torch.randn(5, 2)
for step in range(100):
    h = torch.tanh(x @ W1)
    loss = ((h @ W2 - y) ** 2).mean()
    dout = 2 * (h @ W2 - y) / 32
    dW2 = h.T @ dout
    dh = dout @ W2.T
    dpre = dh * (1 - h)
    dW1 = x.T @ dpre
    W1 -= 0.1 * dW1
    W2 -= 0.1 * dW2
"""


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[SessionOptions]:
    """Every run of a program; in a fork, which has imported torch already."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(PROGRAM)
    runs: list[SessionOptions] = []

    def run(session: SessionOptions) -> ChildResult:
        from gradcheck.analysis.session import run_report

        runs.append(session)
        return ChildResult(in_child(lambda: run_report(session)), "", "")

    monkeypatch.setattr(agents, "run_in_child", run)
    return runs


def test_report_explain_and_fix(ran: list[SessionOptions], tmp_path: Path) -> None:
    tools = Tools(tmp_path / "kept")
    report = tools.report("net.py", select=["GC1"], at="3")
    schema = json.loads((ROOT / "gradcheck" / "report" / "schema.json").read_text())
    jsonschema.validate(json.loads(json.dumps(report)), schema)
    assert [row["verdict"] for row in report["gradients"] if row["name"] == "dpre"] == ["introduced"]

    wrong = tools.explain("net.py", "dpre")
    assert wrong["text"].count("\ndpre ") == 1
    assert "1 - h" in wrong["text"]
    assert wrong["rules"]["GC101"].startswith("## GC101 wrong-gradient")
    assert [row["name"] for row in wrong["report"]["gradients"]] == ["dpre"]
    inherits = tools.explain("net.py", "dW1")
    assert [finding["location"]["line"] for finding in inherits["report"]["findings"]] == [11]
    assert tools.explain("net.py", "dW2")["report"]["findings"] == []

    fixed = tools.fix("net.py")
    assert fixed["patch"].startswith("--- a/")
    assert "+    dpre = dh * (1 - h**2)" in fixed["patch"]
    assert [fix["verified"] for fix in fixed["fixes"]] == [True]
    assert fixed["unfixed"] == []
    assert Path("net.py").read_text() == PROGRAM
    assert [(session.at, session.select) for session in ran] == [((3,), ("GC1",))]

    Path("net.py").write_text(PROGRAM.replace("(1 - h)", "(1 - h**2)"))
    assert tools.fix("net.py")["patch"] == ""
    assert len(ran) == 2


def test_what_is_not_there_is_told(ran: list[SessionOptions], tmp_path: Path) -> None:
    tools = Tools(tmp_path / "kept")
    with pytest.raises(ProgramError, match="there is no gradient `dW3` in `net") as raised:
        tools.explain("net.py", "dW3")
    assert raised.value.hint.startswith("it has `dout`, `dW2`")
    with pytest.raises(ProgramError):
        tools.report("nothing.py")
    with pytest.raises(ProgramError, match="there is no rule"):
        tools.report("net.py", select=["GC9"])


def test_without_the_library_a_line_says_so(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "is_installed", lambda library: False)
    done = invoke("mcp")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "error: `gradcheck mcp` needs the library mcp, which is not installed\n"
        "help: pip install 'gradcheck[mcp]'\n"
    )


def test_a_client_is_served(ran: list[SessionOptions], tmp_path: Path) -> None:
    mcp = pytest.importorskip("mcp")
    anyio = pytest.importorskip("anyio")

    async def asked(call: Callable[[Any], Any]) -> Any:
        async with mcp.Client(agents.server(Tools(tmp_path / "kept"))) as client:
            return await call(client)

    listed = anyio.run(asked, lambda client: client.list_tools()).tools
    assert [tool.name for tool in listed] == ["report", "explain", "fix"]
    assert listed[0].input_schema["required"] == ["target"]
    found = anyio.run(asked, lambda client: client.call_tool("fix", {"target": "net.py"}))
    assert not found.is_error
    assert "+    dpre = dh * (1 - h**2)" in found.structured_content["patch"]
    failed = anyio.run(asked, lambda client: client.call_tool("report", {"target": "nothing.py"}))
    assert failed.is_error
    assert "nothing.py" in failed.content[0].text
