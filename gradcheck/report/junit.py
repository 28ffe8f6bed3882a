"""Every gradient as a test case of JUnit's XML, for continuous integration: wrong ones fail, unchecked ones are skipped."""

from collections.abc import Sequence
from xml.etree import ElementTree

from gradcheck.checks.finding import Severity
from gradcheck.judge.verdict import GradientResult, Verdict
from gradcheck.report import sentences
from gradcheck.report.contents import FailedTarget, ReportContents
from gradcheck.report.layout import describe, printable
from gradcheck.report.terminal import error_text


def document(outcomes: Sequence[ReportContents | FailedTarget]) -> str:
    """One suite for each target: a case for each gradient, and one for the findings as a whole."""
    root = ElementTree.Element("testsuites", name="gradcheck")
    for each in outcomes:
        suite = ElementTree.SubElement(root, "testsuite", name=printable(each.target))
        if isinstance(each, FailedTarget):
            case = _case(suite, each.target, "report")
            ElementTree.SubElement(case, "error", message=printable(each.error.message)).text = printable(
                each.error.hint
            )
        else:
            _report(suite, each)
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
        suite.set("tests", str(len(suite)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _report(suite: ElementTree.Element, report: ReportContents) -> None:
    for row in report.rows:
        case = _case(suite, report.target, f"{row.name} at {describe(row.location)}")
        if row.verdict is Verdict.INTRODUCED or row.verdict is Verdict.INHERITED:
            ElementTree.SubElement(case, "failure", message=_message(row)).text = printable(row.reason)
        elif row.verdict is Verdict.UNCHECKED:
            ElementTree.SubElement(case, "skipped", message=printable(row.reason))
    case = _case(suite, report.target, "findings")
    if report.count(Severity.ERROR):
        failure = ElementTree.SubElement(
            case, "failure", message=f"{report.count(Severity.ERROR)} at error level"
        )
        failure.text = error_text(report)


def _case(suite: ElementTree.Element, target: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=printable(target), name=printable(name))


def _message(row: GradientResult) -> str:
    after = f" (inherited from {', '.join(row.inherits_from)})" if row.inherits_from else ""
    return printable(sentences.gradient(row) + after)
