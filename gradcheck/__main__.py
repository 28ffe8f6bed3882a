"""`python -m gradcheck`."""

from gradcheck.cli.commands import main

main()
