"""Every hostile input of `tests/hostile`, each by the real command: what broke of ours, changed or stayed.

python benchmarks/hostile_inputs.py [--seed N] [--from N] [--to N] [--jobs N]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.hostile.checked import Checked, checked
from tests.hostile.inputs import Hostile, no_programs
from tests.hostile.programs import odd_programs, odd_tensors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--to", dest="last", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    inputs = [*no_programs(options.seed), *odd_programs(), *odd_tensors()][options.first : options.last]
    counts: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    with ThreadPoolExecutor(options.jobs) as pool:
        for number, found in enumerate(pool.map(_one, inputs), options.first):
            counts[found.hostile.kind] += 1
            if found.wrong:
                wrong[found.hostile.kind] += 1
                print(f"{number} {found.hostile.kind}: {found.wrong}\n  {_shown(found)}", flush=True)
    print(f"\n{'inputs':>26}  tried  wrong")
    for kind, count in counts.items():
        print(f"{kind:>26}  {count:5}  {wrong[kind]:5}")
    print(f"{'all':>26}  {counts.total():5}  {wrong.total():5}")
    return int(bool(wrong))


def _one(hostile: Hostile) -> Checked:
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        return checked(hostile, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _shown(found: Checked) -> str:
    program = next(iter(found.hostile.files.values()), b"")[-120:]
    return f"{program!r} {found.hostile.words} {found.hostile.target} -> {found.out[-500:]!r}"


if __name__ == "__main__":
    sys.exit(main())
