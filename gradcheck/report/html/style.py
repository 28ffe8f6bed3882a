"""The style sheet of the HTML report, light and dark. All of it is kept to the report's own element."""

from __future__ import annotations

# Each colour has a contrast of at least 4.5 to 1 against its ground, by the formula of WCAG 2.
_LIGHT = {
    "ground": "#ffffff",
    "ink": "#1f2328",
    "faint": "#59636e",
    "line": "#d1d9e0",
    "code": "#f6f8fa",
    "right": "#005a8e",
    "wrong": "#a93f00",
    "heir": "#7a5600",
    "pair": "#8f3f6f",
}
_DARK = {
    "ground": "#111418",
    "ink": "#e6edf3",
    "faint": "#9ba5b0",
    "line": "#3d444d",
    "code": "#1a1f26",
    "right": "#6cc3f5",
    "wrong": "#ff9b5c",
    "heir": "#f0c04a",
    "pair": "#e8a0cc",
}
COLOURS = {"light": _LIGHT, "dark": _DARK}
_ROOT = ".gradcheck-report"
_RULES = """
ROOT {background: var(--gc-ground); color: var(--gc-ink); padding: .6em .8em; border: 1px solid var(--gc-line);
 border-radius: 4px; font: 14px/1.5 system-ui, sans-serif; max-width: 72em}
ROOT p {margin: .4em 0}
ROOT .headline, ROOT .conclusion {font-weight: 600}
ROOT .conclusion.good {color: var(--gc-right)}
ROOT .conclusion.bad {color: var(--gc-wrong)}
ROOT .scroll {overflow-x: auto}
ROOT table {border-collapse: collapse; margin: .4em 0; font-size: 13px; color: inherit; background: transparent}
ROOT th, ROOT td {padding: .2em .7em; border: 0; border-bottom: 1px solid var(--gc-line); white-space: nowrap;
 background: transparent; color: inherit}
ROOT .left {text-align: left}
ROOT .right {text-align: right; font-variant-numeric: tabular-nums}
ROOT .verdict {font-weight: 600}
ROOT .correct .verdict {color: var(--gc-right)}
ROOT .introduced .verdict {color: var(--gc-wrong)}
ROOT .inherited .verdict {color: var(--gc-heir)}
ROOT .compensated .verdict {color: var(--gc-pair)}
ROOT .unobservable .verdict, ROOT .unchecked .verdict {color: var(--gc-faint); font-weight: 400}
ROOT code, ROOT pre {font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; color: inherit;
 background: transparent; padding: 0}
ROOT code {font-size: .95em}
ROOT pre {background: var(--gc-code); border-left: 4px solid var(--gc-line); padding: .6em .8em; margin: .6em 0;
 overflow-x: auto; font-size: 12.5px; line-height: 1.4; white-space: pre}
ROOT pre.error {border-left-color: var(--gc-wrong)}
ROOT pre.warning {border-left-color: var(--gc-heir)}
ROOT .strong {font-weight: 700}
ROOT .changed {text-decoration: underline}
ROOT .red {color: var(--gc-wrong)}
ROOT .yellow {color: var(--gc-heir)}
ROOT .green, ROOT .cyan {color: var(--gc-right)}
ROOT .blue {color: var(--gc-faint)}
ROOT .magenta {color: var(--gc-pair)}
ROOT .file {color: var(--gc-faint); margin-bottom: 0}
ROOT pre.source {border-left: 0; padding: .4em 0; margin-top: .2em}
ROOT .line {display: block; border-left: 4px solid transparent}
ROOT .line.introduced {border-left-color: var(--gc-wrong)}
ROOT .line.compensated {border-left-color: var(--gc-pair)}
ROOT .line.inherited {border-left: 4px dashed var(--gc-heir)}
ROOT .margin {display: inline-block; min-width: 3.2ch; padding: 0 .4em; text-align: right; font-weight: 700}
ROOT .margin a {text-decoration: none; color: inherit}
ROOT .line.introduced .margin {color: var(--gc-wrong)}
ROOT .line.compensated .margin {color: var(--gc-pair)}
ROOT .line.inherited .margin {color: var(--gc-heir)}
ROOT .line.correct .margin {color: var(--gc-right)}
ROOT .number {color: var(--gc-faint); user-select: none}
ROOT tr:target {outline: 2px solid var(--gc-ink); outline-offset: -2px}
ROOT .chain {font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; text-anchor: middle}
ROOT .chain text {fill: var(--gc-ink)}
ROOT .chain .small {font-size: 10px; fill: var(--gc-faint)}
ROOT .node rect, ROOT .node polygon {fill: var(--gc-code); stroke: var(--gc-faint); stroke-width: 1}
ROOT .node.correct rect {stroke: var(--gc-right)}
ROOT .node.introduced polygon {stroke: var(--gc-wrong); stroke-width: 3}
ROOT .node.introduced text {font-weight: 700}
ROOT .node.inherited rect {stroke: var(--gc-heir); stroke-width: 2; stroke-dasharray: 6 3}
ROOT .node.compensated polygon {stroke: var(--gc-pair); stroke-width: 3}
ROOT .node.unobservable rect, ROOT .node.unchecked rect {stroke-dasharray: 2 3}
ROOT .edge {fill: none; stroke: var(--gc-line); stroke-width: 1.5}
ROOT .edge.inherited {stroke: var(--gc-heir)}
ROOT .edge.introduced {stroke: var(--gc-wrong)}
ROOT .chain a:hover rect, ROOT .chain a:hover polygon, ROOT .chain a:focus rect,
ROOT .chain a:focus polygon {stroke-width: 4}
ROOT ul {margin: .4em 0; padding-left: 1.4em; color: var(--gc-faint)}
ROOT summary {cursor: pointer}
ROOT .long {white-space: normal; min-width: 24em}
ROOT img {display: block; width: 46em; max-width: 100%; height: auto; margin: .4em 0; filter: var(--gc-figures)}
ROOT img.as-drawn {filter: none}
"""


# Figures are drawn on white. Turned over, and the hues turned back: blue stays blue, on the dark ground of the report.
_FIGURES = {"light": "none", "dark": "invert(.92) hue-rotate(180deg)"}


def _colours(selector: str, theme: str) -> str:
    colours = {**COLOURS[theme], "figures": _FIGURES[theme]}
    named = "; ".join(f"--gc-{name}: {colour}" for name, colour in colours.items())
    return f"{selector} {{color-scheme: {theme}; {named}}}"


# A notebook says which theme it has; only where nothing does, the system is asked.
STYLE = "\n".join(
    (
        _colours(_ROOT, "light"),
        f"@media screen and (prefers-color-scheme: dark) {{{_colours(_ROOT, 'dark')}}}",
        _colours(f'[data-jp-theme-light="true"] {_ROOT}, body.vscode-light {_ROOT}', "light"),
        _colours(f'[data-jp-theme-light="false"] {_ROOT}, body.vscode-dark {_ROOT}', "dark"),
        _RULES.strip().replace("ROOT", _ROOT),
    )
)

_PAGE_RULES = """
body {margin: 0; background: var(--gc-ground); color: var(--gc-ink); font: 15px/1.5 system-ui, sans-serif}
main {max-width: 76em; margin: 0 auto; padding: 1em}
h1 {font-size: 1.3em; overflow-wrap: anywhere}
footer {color: var(--gc-faint); font-size: 13px; margin-top: 1em}
main ROOT {border: 0; padding: 0; max-width: none}
main ROOT summary {font-weight: 600; font-size: 1.05em; margin-top: .8em}
@media (max-width: 40em) {
 main {padding: .6em}
 main ROOT .long {min-width: 14em}
 main ROOT th, main ROOT td {padding: .2em .4em}
 main ROOT tr.introduced td:first-child::before {content: "✗ "}
 main ROOT tr.compensated td:first-child::before {content: "⇄ "}
 main ROOT tr.inherited td:first-child::before {content: "↓ "}
 main ROOT .number {display: none}
}
@media print {
 main ROOT .scroll {overflow: visible}
 main ROOT pre {overflow: visible; white-space: pre-wrap; break-inside: avoid}
 main ROOT .chain {max-width: 100%; height: auto}
 main ROOT tr, main ROOT img {break-inside: avoid}
}
"""

# Of a page that holds one report and nothing else. Paper is white, whatever the screen is.
PAGE_STYLE = "\n".join(
    (
        _colours("body", "light"),
        f"@media screen and (prefers-color-scheme: dark) {{{_colours('body', 'dark')}}}",
        _PAGE_RULES.strip().replace("ROOT", _ROOT),
    )
)
