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
        f"@media (prefers-color-scheme: dark) {{{_colours(_ROOT, 'dark')}}}",
        _colours(f'[data-jp-theme-light="true"] {_ROOT}, body.vscode-light {_ROOT}', "light"),
        _colours(f'[data-jp-theme-light="false"] {_ROOT}, body.vscode-dark {_ROOT}', "dark"),
        _RULES.strip().replace("ROOT", _ROOT),
    )
)
