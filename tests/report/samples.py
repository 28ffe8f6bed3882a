"""Evidence made by hand: the shapes a report can take, without running anything."""

from __future__ import annotations

from gradcheck.checks.finding import Fix, SuppressedFinding
from gradcheck.checks.registry import run_checks
from gradcheck.checks.rule import Evidence
from gradcheck.judge.step.records import Bypass, Movement, ParameterUpdate, SkippedGradient, StepFlow
from gradcheck.judge.verdict import GradientResult, PassResult, Problem, Verdict, WorstElement
from gradcheck.program.location import Location
from gradcheck.program.magics import SkippedLine
from gradcheck.program.source import SourceMap, SourceUnit
from gradcheck.report.contents import collect_excerpts
from gradcheck.report.model import Report
from gradcheck.report.program_section import CellError, ProgramSection

FORWARD = """\
%matplotlib inline
Z_1 = X @ W_1
A_1 = torch.tanh(Z_1)
Z_2 = A_1 @ W_2 + b_2
pre_batch_norm_2 = Z_2
loss = F.cross_entropy(Z_2, Y)
"""

BACKWARD = """\
d_Z_2 = F.softmax(Z_2, 1)
d_Z_2[range(n), Y] -= 1
d_Z_2 /= n
d_b_2 = d_Z_2.sum(0)
if True:
\td_A_1 = d_Z_2 @ W_2.T  # noqa: E501
d_Z_1 = (
    d_A_1
    * (1 - A_1)
)
d_W_1 = X.T @ d_Z_1
d_W_2 = None
"""


def at(line: int, column: int = 1, end: int = 1, end_line: int | None = None, cell: int = 2) -> Location:
    return Location("day70.ipynb", cell, line, end_line or line, column, end)


def sources() -> SourceMap:
    known = SourceMap()
    known.add(SourceUnit("<cell 1>", "day70.ipynb", FORWARD, 1))
    known.add(SourceUnit("<cell 2>", "day70.ipynb", BACKWARD, 2))
    return known


def correct(name: str, of: str, line: int, **details: object) -> GradientResult:
    row = GradientResult(
        name, of, at(line, 1, 6), Verdict.CORRECT, 2.1e-16, 1.4e-16, noise=3e-8, cosine=1.0,
        worst=WorstElement((0, 3), 0.0125, 0.0125), expected_norm=0.3, found_norm=0.3, mismatched=0,
        elements=864, shape=(32, 27), of_shape=(32, 27), dtype="float32", evidence="name, shape",
    )  # fmt: skip
    for key, value in details.items():
        setattr(row, key, value)
    return row


def wrong(name: str, of: str, place: Location, **details: object) -> GradientResult:
    row = correct(name, of, place.line)
    row.location, row.verdict, row.problem = place, Verdict.INTRODUCED, Problem.WRONG_VALUE
    row.total_error, row.local_error, row.cosine = 0.43, 0.5312, 0.312
    row.worst = WorstElement((3, 17), -0.000421, 0.00112)
    row.expected_norm, row.found_norm, row.mismatched, row.elements = 0.02131, 0.0388, 6400, 6400
    for key, value in details.items():
        setattr(row, key, value)
    return row


def inherited(name: str, of: str, line: int, *sources: str) -> GradientResult:
    row = correct(name, of, line)
    row.verdict, row.total_error, row.cosine = Verdict.INHERITED, 0.43, 0.8
    row.inherits_from = list(sources)
    return row


def one_pass(*gradients: GradientResult, **details: object) -> PassResult:
    loss_line = at(6, 8, 31, cell=1)
    step = PassResult(0, "loss", 3.318722, loss_line, list(gradients), iteration=0, cell=2, probes=5)
    for key, value in details.items():
        setattr(step, key, value)
    for row in gradients:
        row.pass_index = step.index
    return step


def report(*passes: PassResult, program: ProgramSection | None = None, target: str = "day70.ipynb") -> Report:
    evidence = Evidence(list(passes))
    findings = run_checks(evidence)
    return Report(
        target,
        evidence.passes,
        findings,
        program or ProgramSection(),
        collect_excerpts(findings, sources(), evidence.gradients),
    )


def faulty() -> Report:
    """Everything at once: faults on one line and over several, an heir, a placeholder, a cell that raised."""
    step = one_pass(
        correct("d_Z_2", "Z_2", 3, lines=[at(1), at(2), at(3)]),
        correct("d_b_2", "b_2", 4, verdict=Verdict.UNOBSERVABLE, total_error=None, local_error=None),
        wrong("d_A_1", "A_1", at(6, 10, 23), upstream=["d_Z_2"]),
        wrong("d_Z_1", "Z_1", at(7, 9, 2, end_line=10), upstream=["d_A_1"], local_error=0.0312),
        inherited("d_W_1", "W_1", 11, "d_A_1", "d_Z_1"),
        correct(
            "d_W_2", "W_2", 12, verdict=Verdict.UNCHECKED, problem=Problem.UNFINISHED, reason="it is None",
            total_error=None, local_error=None, cosine=None, worst=None, shape=None,
        ),
    )  # fmt: skip
    program = ProgramSection(
        [SkippedLine(1, 1, "%matplotlib inline", "plots are never shown")],
        [
            CellError(3, 2, "NameError: name 'plot_all' is not defined", "plot_all(losses)"),
            CellError(4, None, "FileNotFoundError: 'names.txt'", hint="`--data names.txt=PATH` supplies it"),
        ],
        ["left the training loop at line 3 after iteration 0"],
        "timeout",
        "still running after 120 s in cell 5",
    )
    return report(step, program=program)


def fixed() -> Report:
    """Faults with fixes: on the line itself, over several lines, in another cell for two of them, unproved."""
    known = report(
        one_pass(
            wrong("d_Z_2", "Z_2", at(3, 1, 11)),
            wrong("d_b_2", "b_2", at(4, 9, 21)),
            wrong("d_A_1", "A_1", at(6, 10, 23)),
            wrong("d_Z_1", "Z_1", at(7, 9, 2, end_line=10)),
            wrong("d_W_1", "W_1", at(11, 9, 20)),
        )
    )
    first, second, third, fourth, fifth = known.findings
    first.helps = ["divide by the number of rows", "proved by replay: the error falls from 0.53 to 2e-16"]
    first.fix = Fix(True, "- d_Z_2 /= n\n+ d_Z_2 /= n - 1", "n - 1", at(3, 10, 11))
    second.fix = third.fix = Fix(
        True, "- A_1 = torch.tanh(Z_1)\n+ A_1 = torch.relu(Z_1)", "relu", at(3, 13, 17, cell=1)
    )
    fourth.helps = ["the derivative of tanh is 1 - tanh(x)**2"]
    fourth.fix = Fix(
        True,
        "- d_Z_1 = (\n-     d_A_1\n-     * (1 - A_1)\n- )\n+ d_Z_1 = (\n+     d_A_1\n+     * (1 - A_1**2)\n+ )",
        "(\n    d_A_1\n    * (1 - A_1**2)\n)",
        at(7, 9, 2, end_line=10),
    )
    long = "d_W_1 = bn_gamma * bn_var_inv / n * (n * d_Z_1 - d_Z_1.sum(0, keepdim=True)"
    long += " - {} * bn_raw * (d_Z_1 * bn_raw).sum(0))"
    fifth.fix = Fix(
        False, f"- {long.format('n / (n + 1)')}\n+ {long.format('n / (n - 1)')}", "n - 1", at(11, 9, 10)
    )
    return known


def clean() -> Report:
    rows = [correct("d_Z_2", "Z_2", 3), correct("d_b_2", "b_2", 4, verdict=Verdict.UNOBSERVABLE)]
    return report(one_pass(*rows))


def every_problem() -> Report:
    """One finding of every rule, and a fault that cancels another."""
    return report(
        one_pass(
            wrong("d_Z_2", "Z_2", at(1, 9, 25), problem=Problem.HIDDEN, local_error=2e-16, hidden_error=0.41),
            wrong("d_b_2", "b_2", at(4, 9, 21), problem=Problem.SHAPE, shape=(), of_shape=(27,)),
            correct("d_b_1", "b_1", 2, problem=Problem.SHAPE_NOTE, shape=(64,), of_shape=(1, 64)),
            correct("d_A_1", "Z_1", 6, problem=Problem.MISNAMED, reason="`d_A_1` names `A_1`"),
            wrong("d_Z_1", "Z_1", at(9, 7, 16), problem=Problem.NON_FINITE, local_error=float("inf")),
            wrong(
                "d_W_1",
                "W_1",
                at(11, 9, 20),
                verdict=Verdict.COMPENSATED,
                total_error=1e-16,
                evidence="shape",
            ),
            correct("d_W_2", None, 12, verdict=Verdict.UNCHECKED, problem=Problem.UNFINISHED),
        )
    )


def with_flow() -> Report:
    """A skipped gradient, a swapped update, and a parameter that never moves."""
    skipped = SkippedGradient(
        "d_Z_1", "Z_1", at(7, 9, 20), (Bypass("d_W_1", None, at(11, 9, 20), "d_A_1", "A_1"),)
    )
    updates = [
        ParameterUpdate("W_1", Movement.ANOTHERS, at(30), "d_W_1", at(11), ("d_W_2",), ("W_2",)),
        ParameterUpdate("W_2", Movement.DESCENDS, at(31), "d_W_2", at(12), ("d_W_2",), ("W_2",)),
        ParameterUpdate("b_1", Movement.STILL, None, "d_b_1", at(13)),
        ParameterUpdate("b_2", Movement.UNCHECKED, at(32), None, None, reason="it could not be followed"),
    ]
    row = wrong("d_W_1", "W_1", at(11, 9, 20), notes=["it reads `d_A_1` too early"])
    return report(one_pass(row, flow=StepFlow([skipped], updates, minimised=True)))


def several_passes() -> Report:
    """Two iterations of one loop, in which one line is wrong for two layers."""
    steps = []
    for index, error in enumerate((0.25, 0.5)):
        first = wrong("dx", "h_2", at(6, 10, 23), local_error=error, occurrences=2, lines=[at(4), at(6)])
        second = wrong("dx", "h_1", at(6, 10, 23), local_error=error / 2)
        scaled = correct("d_Z_2", "Z_2", 3, verdict=Verdict.COMPENSATED, scale_note="kept as 32 x dL/dx")
        steps.append(one_pass(first, second, scaled, index=index, iteration=100 * index))
    return report(*steps)


def with_suppressed() -> Report:
    """Comments silence all that is found, in the notebook and in a module beside it."""
    known = report(one_pass(wrong("d_A_1", "A_1", at(6, 10, 23)), wrong("d_b_2", "b_2", at(4, 9, 21))))
    places = [at(6, 27, 45), Location("layers.py", None, 3, 3, 20, 38)]
    known.findings[0].location = Location("layers.py", None, 3, 3, 1, 5)
    known.suppressed = [
        SuppressedFinding(found, place) for found, place in zip(known.findings[::-1], places, strict=True)
    ]
    known.findings = []
    return known
