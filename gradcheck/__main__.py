"""`python -m gradcheck`."""

import sys

if not sys.flags.safe_path:
    sys.path.pop(0)  # the current directory: a `statistics.py` of the person's is not Python's

from gradcheck.cli.entry import main

main()
