"""Where a gradient is in the source: every line that built it, the one that decides last."""

from gradcheck.fronts.places import Places
from gradcheck.program.location import Location
from gradcheck.replay.passes import Version


def lines_of(version: Version, places: Places) -> list[Location]:
    """A second name (`db = dz`) computes nothing: its own line counts, as for what no recorded op made, unless something is
    written into the tensor afterwards."""
    candidate, binding = version.candidate, version.candidate.binding
    last = {(op.code, op.lasti): op for op in version.writes}  # a loop runs an expression many times
    ops = sorted(last.values(), key=lambda op: op.index)
    computed = [op for op in ops if not candidate.second_name or (binding and op.index >= binding.when)]
    if binding is not None and binding.code is not None and not computed:
        return [places.line_location(binding.code, binding.line)]
    return [places.location(op) for op in ops]


def line_of(version: Version, places: Places) -> Location:
    """The line that decides."""
    return lines_of(version, places)[-1]
