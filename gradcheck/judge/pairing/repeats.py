"""A loop that moves nothing: each of its iterations says the same of the same lines, and the first ones are enough."""

from collections import Counter

from gradcheck.fronts.tape import Recording
from gradcheck.fronts.updates import UpdateFinder
from gradcheck.judge.pairing.losses import find_losses
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.windows import recorded_steps


def first_repeats(recording: Recording, names: NameIndex, loss_name: str | None, most: int) -> Recording:
    """The part of the recording that holds the first `most` losses of every line; all of it where anything is moved, since
    gradients of many iterations may be added up for that."""
    losses = find_losses(recording, names, [], loss_name)
    counts: Counter[tuple[object, int]] = Counter()
    wanted = 0
    for number, loss in enumerate(losses):
        place = loss.op.code, loss.op.lasti
        counts[place] += 1
        if counts[place] <= most:
            wanted = number
    if len(losses) - wanted <= 2 or recorded_steps(recording) or UpdateFinder(recording).between(0):
        return recording
    note_repeats(recording, max(counts.values()), most, "; no update of a parameter was seen between them")
    return recording.before(losses[wanted + 1].op.index)


def note_repeats(recording: Recording, times: int, most: int, why: str = "") -> None:
    first = f"the first {most}" if most > 1 else "the first"
    note = f"the loss was computed {times} times by the same line; what is reported is {first} of them{why}"
    if note not in recording.notes:
        recording.notes.append(note)
