"""The style sheets of the HTML report, light and dark: the colours, and the rules of the files beside this one."""

from pathlib import Path

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
# Figures are drawn on white. Turned over, and the hues turned back: blue stays blue, on the dark ground of the report.
_FIGURES = {"light": "none", "dark": "invert(.92) hue-rotate(180deg)"}


def _colours(selector: str, theme: str) -> str:
    colours = {**COLOURS[theme], "figures": _FIGURES[theme]}
    named = "; ".join(f"--gc-{name}: {colour}" for name, colour in colours.items())
    return f"{selector} {{color-scheme: {theme}; {named}}}"


def _rules(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").partition("\n")[2].strip()


# A notebook says which theme it has; only where nothing does, the system is asked.
STYLE = "\n".join(
    (
        _colours(_ROOT, "light"),
        f"@media screen and (prefers-color-scheme: dark) {{{_colours(_ROOT, 'dark')}}}",
        _colours(f'[data-jp-theme-light="true"] {_ROOT}, body.vscode-light {_ROOT}', "light"),
        _colours(f'[data-jp-theme-light="false"] {_ROOT}, body.vscode-dark {_ROOT}', "dark"),
        _rules("report.css"),
    )
)

# Of a page that holds one report and nothing else. Paper is white, whatever the screen is.
PAGE_STYLE = "\n".join(
    (
        _colours("body", "light"),
        f"@media screen and (prefers-color-scheme: dark) {{{_colours('body', 'dark')}}}",
        _rules("page.css"),
    )
)
