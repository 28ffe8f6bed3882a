"""`gradcheck mcp`: reports for coding agents, over the Model Context Protocol. What each tool returns is plain data, the same
as in `--format json`; only `serve` needs the library."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gradcheck.base.codec import encode
from gradcheck.base.errors import InternalError
from gradcheck.base.extras import how_to_install, is_installed
from gradcheck.base.options import SessionOptions
from gradcheck.base.version import __version__
from gradcheck.checks.finding import Finding
from gradcheck.checks.page import rule_page
from gradcheck.checks.registry import find_rule
from gradcheck.cli.finished import Finished
from gradcheck.cli.options import session_options
from gradcheck.judge.verdict import GradientResult
from gradcheck.patch.files import patched_files
from gradcheck.patch.plan import plan_fixes
from gradcheck.patch.unified import unified_diff
from gradcheck.process.child import run_in_child
from gradcheck.process.config import read_config
from gradcheck.program.errors import ProgramError
from gradcheck.program.own_files import own_files
from gradcheck.program.target import parse_target
from gradcheck.report.model import Report


class Tools:
    """gradcheck checks backward passes that are written by hand, in torch and NumPy. It runs one training step of a program as
    it is and says for every gradient whether its line is right. Begin with `report`; `explain` one gradient that is
    `introduced` (the line at fault; `inherited` ones need no change); `fix` gives the edits that replay has proved, as a
    patch. After an edit, `report` again. `explain` and `fix` are about the report on the same target as it was last asked
    for; a program that has not changed is not run again for them.
    """

    def __init__(self, folder: Path) -> None:
        self._finished = Finished(folder)
        self._asked: dict[str, SessionOptions] = {}

    def report(
        self, target: str, select: Sequence[str] = (), ignore: Sequence[str] = (), at: str = "0", loss: str | None = None,
        pairs: Sequence[str] = (), arguments: Sequence[str] = (), timeout: float = 120.0,
    ) -> dict[str, Any]:  # fmt: skip
        """Run a program once and judge every gradient in it that is computed by hand.

        `target` is a notebook, a script, `script.py::function`, `script.py::train(np.ones((4, 3)), 0.1)` or
        `package.module:callable`. The program runs with your rights; what it writes goes into a private folder.
        `select` and `ignore` take rules: "GC1" are those about gradients alone, and quickest. `at` are iterations of the
        training loop, "0,100". `loss` names the loss and `pairs` says what belongs together ("d_A=A_1"), where the
        report asks for it. `arguments` are those of the program. The answer is the report of `gradcheck report --format json`.
        """
        parse_target(target)
        common = session_options(
            read_config(Path.cwd()), arguments=arguments, at=at, loss=loss, pairs=pairs, timeout=timeout, select=select,
            ignore=ignore,
        )  # fmt: skip
        self._asked[target] = replace(common, target=target)
        return self._report(target).to_dict()

    def explain(self, target: str, gradient: str) -> dict[str, Any]:
        """Say what is known of one gradient: its verdict, its errors, the finding that explains it, the lines concerned.

        `gradient` is its name in the last report on `target`. `text` is for a person to read, `report` the same as
        data: the report with this gradient and its findings alone, and `rules` the pages of the rules that they belong to.
        """
        report = self._report(target)
        rows = [row for row in report.rows if row.name == gradient]
        if not rows:
            known = ", ".join(f"`{name}`" for name in dict.fromkeys(row.name for row in report.rows))
            raise ProgramError(f"there is no gradient `{gradient}` in `{target}`", f"it has {known}")
        passes = [replace(step, gradients=[r for r in step.gradients if r in rows]) for step in report.passes]
        found = [finding for finding in report.findings if _is_about(finding, rows)]
        one = replace(report, passes=[step for step in passes if step.gradients], findings=found)
        pages = {code: rule_page(rule) for code in {f.rule for f in found} if (rule := find_rule(code))}
        return {"text": str(one), "report": one.to_dict(), "rules": pages}

    def fix(self, target: str, unproved: bool = False) -> dict[str, Any]:
        """Give the edits that repair the program, as a patch; no file is changed.

        Each edit was proved: with it, the gradient is right when the recorded step is replayed with other parameters, data,
        constants and sizes, and no other gets worse. `unproved`: also those that fit the recorded step and could not be
        proved. `unfixed` are the findings without an edit. Apply the patch and call `report` to see what is left.
        """
        plan = plan_fixes([self._report(target)], unproved=unproved, files=own_files(target, None))
        patch = b"".join(unified_diff(file) for file in patched_files(plan.fixes))
        return {
            "patch": patch.decode("utf-8", "replace"),
            "fixes": [encode(planned.fix) for planned in plan.fixes],
            "postponed": [encode(waiting.fix) for waiting, _ in plan.postponed],
            "unfixed": encode(plan.unfixed),
        }

    def _report(self, target: str) -> Report:
        if target not in self._asked:
            self.report(target)
        session = self._asked[target]
        return self._finished.result(session, lambda: run_in_child(session)).report


def _is_about(finding: Finding, rows: Sequence[GradientResult]) -> bool:
    """Whether it is at the line of one of them, names it, or is what it inherits from."""
    names = {row.name for row in rows} | {name for row in rows for name in row.inherits_from}
    told = {str(name) for name in (finding.evidence.get("gradient"), *finding.evidence.get("gradients", ()))}
    return finding.location in [row.location for row in rows] or not names.isdisjoint(told)


def serve() -> None:
    """Until standard input ends."""
    if not is_installed("mcp"):
        raise ProgramError(
            "`gradcheck mcp` needs the library mcp, which is not installed", how_to_install("mcp")
        )
    with TemporaryDirectory() as folder:
        server(Tools(Path(folder))).run()


def server(tools: Tools) -> Any:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    def told(tool: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(tool)
        def asked(*arguments: Any, **named: Any) -> Any:
            try:
                return tool(*arguments, **named)
            except ProgramError as error:
                raise ToolError("\n".join(filter(None, (error.message, error.excerpt, error.hint)))) from None
            except InternalError as error:
                raise ToolError(f"internal error of gradcheck, please report it: {error.summary}") from None

        return asked

    made = MCPServer("gradcheck", version=__version__, instructions=Tools.__doc__)
    for tool in (tools.report, tools.explain, tools.fix):
        made.tool()(told(tool))
    return made
