"""What a program can see of being recorded: programs run bare and under `gradcheck report`, and compared.

    python benchmarks/undisturbed.py

Takes a minute or two on one core.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.fronts.torch import seen
from tests.fronts.torch.compared import ends_differently, looks, seen_differently


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        different = seen_differently(Path(folder))
        ends = {
            end: found
            for number, (end, text) in enumerate(seen.ENDS.items())
            if (found := ends_differently(Path(folder, str(number)), text))
        }
    print("| looked at | ways | as in a bare run | different |")
    print("|---|---|---|---|")
    for what, count, wrong in (
        ("the process, in the midst of a step", len(looks()), len(different)),
        ("output, errors, exit status and files, at the end", len(seen.ENDS), len(ends)),
    ):
        print(f"| {what} | {count} | {count - wrong} | {wrong} |")
    for name, (bare, recorded) in different.items():
        print(
            f"\n{name} ({seen.SEEN.get(name, 'NOT KNOWN')})\n  bare     {bare[:200]}\n  recorded {recorded[:200]}"
        )
    for name, found in ends.items():
        print(f"\n{name} ({seen.NOT_AT_THE_END.get(name, 'NOT KNOWN')})", *found, sep="\n  ")


if __name__ == "__main__":
    main()
