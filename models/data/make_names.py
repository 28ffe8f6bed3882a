"""Write names.txt from the source archive of the PyPI package `names` (see README.md)."""

import hashlib
import sys
import tarfile
from pathlib import Path

TABLES = {
    "dist.male.first": "0a5078ef6effe3b483d15b0f7f95047662126c9bfb624ecd5e5b978fc0f2470b",
    "dist.female.first": "bd2f310fc4e5d5e5ea122c9d4342c9821145823118eb20db1647f305ec77b358",
}


def read_names(archive: Path) -> list[str]:
    """The unique first names of both census tables, lower-case, in alphabetical order."""
    names: set[str] = set()
    found: set[str] = set()
    with tarfile.open(archive) as tar:
        for member in tar:
            table = Path(member.name).name
            if table not in TABLES:
                continue
            stream = tar.extractfile(member)
            if stream is None:
                continue
            content = stream.read()
            if hashlib.sha256(content).hexdigest() != TABLES[table]:
                raise SystemExit(f"{member.name}: not the table this list was made from")
            found.add(table)
            # a line of a table: NAME, share in percent, running share in percent, rank
            names.update(line.split()[0].lower() for line in content.decode("ascii").splitlines())
    missing = sorted(set(TABLES) - found)
    if missing:
        raise SystemExit(f"{archive}: holds no {', '.join(missing)}")
    return sorted(names)


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python make_names.py names-0.3.0.tar.gz")
    names = read_names(Path(sys.argv[1]))
    target = Path(__file__).with_name("names.txt")
    target.write_text("\n".join(names) + "\n", encoding="ascii", newline="\n")
    print(f"{target.name}: {len(names)} names")


if __name__ == "__main__":
    main()
