"""The command line."""

from typing import NoReturn


def main() -> NoReturn:
    """Entry point of the `gradcheck` command."""
    from gradcheck.cli.entry import main as run

    run()
