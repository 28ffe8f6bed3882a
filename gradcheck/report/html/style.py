"""The style sheets of the HTML report, light and dark: the colours, and the rules of the files beside this one."""

import tomllib
from pathlib import Path

_WRITTEN = Path(__file__).with_name("colours.toml").read_text(encoding="utf-8")
COLOURS: dict[str, dict[str, str]] = tomllib.loads(_WRITTEN)
_ROOT = ".gradcheck-report"
# Figures are drawn on white. Turned over, and the hues turned back: blue stays blue, on the dark ground of the report.
_FIGURES = {"light": "none", "dark": "invert(.92) hue-rotate(180deg)"}


def _colours(selector: str, theme: str) -> str:
    colours = {**COLOURS[theme], "figures": _FIGURES[theme]}
    named = "; ".join(f"--gc-{name}: {colour}" for name, colour in colours.items())
    return f"{selector} {{color-scheme: {theme}; {named}}}"


def _by_system(selector: str) -> str:
    return (
        f"{_colours(selector, 'light')}\n"
        f"@media screen and (prefers-color-scheme: dark) {{{_colours(selector, 'dark')}}}"
    )


def _rules(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").partition("\n")[2].strip()


# A notebook says which theme it has; only where nothing does, the system is asked.
STYLE = "\n".join(
    (
        _by_system(_ROOT),
        _colours(f'[data-jp-theme-light="true"] {_ROOT}, body.vscode-light {_ROOT}', "light"),
        _colours(f'[data-jp-theme-light="false"] {_ROOT}, body.vscode-dark {_ROOT}', "dark"),
        _rules("report.css"),
    )
)

# Of a page that holds one report and nothing else. Paper is white, whatever the screen is.
PAGE_STYLE = f"{_by_system('body')}\n{_rules('page.css')}"
