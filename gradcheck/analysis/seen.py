"""What a program computed that may be a loss or a gradient, for one in which no backward pass was found."""

import math
from collections.abc import Iterable

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Recording
from gradcheck.program.source import SourceMap

_MOST = 4  # that are shown of each


def seen(recording: Recording, sources: SourceMap) -> str:
    files = {unit.filename for unit in sources.units.values()}
    own = [
        b for b in recording.bindings if b.code is not None and not b.alias and b.value.producer is not None
    ]
    own = [b for b in own if b.code is not None and b.code.co_filename in files]
    numbers = [b.name for b in own if math.prod(b.value.shape) == 1 and parse(b.name).form is Form.NONE]
    gradients = [b.name for b in own if parse(b.name).form >= Form.BARE_D]
    could_be = (
        f"numbers that could be the loss: {_listed(numbers)}"
        if numbers
        else "no number was computed that could be the loss"
    )
    return f"{could_be}; names like those of gradients: {_listed(gradients) or 'none'}"


def _listed(names: Iterable[str]) -> str:
    """The last ones: a loss and its gradients come late."""
    found = list(dict.fromkeys(names))[::-1]
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return ", ".join(f"`{name}`" for name in found[:_MOST]) + more
