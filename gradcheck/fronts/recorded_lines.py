"""Which lines of the program the recording holds anything of: of all others, nothing can be said."""

from collections import defaultdict

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Recording

Lines = dict[tuple[str, int | None], set[int]]  # by file and cell, as in a Location


def recorded_lines(recording: Recording, places: Places) -> Lines:
    found: Lines = defaultdict(set)
    once = {(op.code, op.lasti): op for op in recording.ops}  # a loop runs a line many times
    for op in once.values():
        place = places.location(op)
        found[place.file, place.cell].update(range(place.line, place.end_line + 1))
    return dict(found)
