"""The report as a page of its own: one file that fetches nothing and runs nothing."""

from collections.abc import Iterable
from html import escape

from gradcheck.base.ours import PAGE
from gradcheck.report.contents import ReportContents
from gradcheck.report.figures.drawing import Picture
from gradcheck.report.html import element
from gradcheck.report.html.style import PAGE_STYLE
from gradcheck.report.layout import printable

# No scripts, no addresses: what a program printed or is called can do nothing, even if it got into the page as markup.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(report: ReportContents, pictures: Iterable[Picture] = ()) -> str:
    """Readable on narrow screens, in light and dark, and in print."""
    body = element.render(report, pictures, alone=True)
    return document(
        f"Gradient report: {report.target}",
        f"{body}<footer>Written by gradcheck {escape(report.version)}.</footer>\n",
    )


def document(title: str, body: str) -> str:
    """A whole page around `body`, which is HTML; `title` is text."""
    shown = escape(printable(title))
    return f"""<!doctype html>
{PAGE}
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{shown}</title>
<style>{PAGE_STYLE}</style>
</head>
<body>
<main>
<h1>{shown}</h1>
{body}</main>
</body>
</html>
"""
