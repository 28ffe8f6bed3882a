"""What gradcheck says about itself: its rules, its thresholds, the schema of its reports."""

from importlib import resources

import click
from rich.console import Console

from gradcheck.checks.page import rule_page, thresholds_table
from gradcheck.checks.registry import all_rules, find_rule, similar_rules
from gradcheck.program.errors import ProgramError


@click.command(short_help="Explain one rule.")
@click.argument("code", metavar="CODE")
def rule(code: str) -> None:
    """Explain one rule: what it does, why it matters, an example and how it is measured.

    CODE is a code or a name: GC101, wrong-gradient.
    """
    found = find_rule(code)
    if found is None:
        close = " or ".join(f"`{name}`" for name in similar_rules(code))
        hint = f"did you mean {close}?" if close else "`gradcheck rules` lists them"
        raise ProgramError(f"there is no rule `{code}`", hint)
    _print_markdown(rule_page(found))


@click.command(short_help="List all rules, or all thresholds.")
@click.option(
    "--thresholds", is_flag=True, help="List the numbers that rules compare with, and their sources."
)
def rules(thresholds: bool) -> None:
    """List all rules: code, severity, name and what each one finds.

    With --thresholds, list the numbers that they compare with instead: what `--threshold KEY=NUMBER` and
    [tool.gradcheck.thresholds] in pyproject.toml can set.
    """
    if thresholds:
        _print_markdown(thresholds_table())
        return
    all_ = all_rules()
    width = max((len(r.name) for r in all_), default=0)
    for each in all_:
        click.echo(f"{each.code}  {each.severity.value:<7}  {each.name:<{width}}  {each.summary}")


@click.command(short_help="Print the JSON schema of a report.")
def schema() -> None:
    """Print the JSON schema of what `gradcheck report --format json` writes."""
    click.echo(
        resources.files("gradcheck.report").joinpath("schema.json").read_text(encoding="utf-8"), nl=False
    )


def _print_markdown(text: str) -> None:
    console = Console()
    if not console.is_terminal:
        click.echo(text, nl=False)
        return
    from rich.markdown import Markdown  # pulls in a parser and a highlighter

    console.print(Markdown(text))
