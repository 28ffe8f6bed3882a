"""While a layer is checked: its code goes through hooks if it computes with NumPy, whose arrays are values then, and what
it draws is forgotten afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

from gradcheck.analysis.following import followed_calls
from gradcheck.layers.subject import Subject
from gradcheck.program.live import LiveSources
from gradcheck.program.torch_settings import kept_random_states


@contextmanager
def computing_with_its_arrays(subject: Subject) -> Iterator[None]:
    sources = LiveSources()
    sources.include(*subject.files)
    with kept_random_states(), followed_calls(subject.things, sources):
        yield
