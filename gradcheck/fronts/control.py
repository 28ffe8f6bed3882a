"""Switches recording on and off between the steps of a program, and ends it when enough is on the tape."""

from contextlib import suppress
from types import FrameType
from typing import Protocol

from gradcheck.fronts import live_steps
from gradcheck.fronts.bindings import Bindings
from gradcheck.fronts.follower import Follower
from gradcheck.fronts.known import KnownValues
from gradcheck.fronts.namespace import names_in, tensors_of_namespace
from gradcheck.fronts.state import State

MAX_OPS = 400_000
AFTERMATH_OPS = 12_000  # recorded after the last wanted step: about a hundred names, letter by letter
AFTERMATH_BYTES = 128 << 20  # that only the tape holds


class Front(Protocol):
    """One library's way to see the calls of a program."""

    def install(self) -> None:
        """Calls are seen from now on."""

    def remove(self) -> None:
        """The library is as it was before `install`."""

    def take_out(self) -> None:
        """Calls are not seen for a while, so that the program runs at its own speed."""

    def put_back(self) -> None: ...


class Control:
    """`live`: what is recorded is a part of a program that goes on afterwards."""

    def __init__(
        self, state: State, follower: Follower, bindings: Bindings, values: KnownValues, *, live: bool
    ) -> None:
        self.state = state
        self.recording = state.recording
        self.follower = follower
        self.bindings = bindings
        self.values = values
        self.live = live
        self.fronts: list[Front] = []
        self._most_ops = MAX_OPS
        self._look_at = live_steps.LOOK_EVERY  # ops on the tape when the steps so far are counted next
        self._forgotten = False  # what exists has not been looked at since recording began again
        state.when_ended_early.append(self.keep_for_good)

    @property
    def apart(self) -> bool:
        """Whether an aftermath is being recorded that stands apart."""
        return self.recording.aftermath_cut is not None

    # -- between steps -----------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Record nothing until `resume`; the program runs on, at its own speed."""
        self._sleep()
        if not self.state.between_steps:
            self.values.secure()
            self.state.between_steps = True
            for front in self.fronts:
                front.take_out()

    def rest(self) -> None:
        """Record nothing any more; loops report only if one around the training is still to be left."""
        self._sleep()
        if self.state.loops_to_leave:
            self.state.attention = True
        else:
            self.follower.stop_listening()

    def _sleep(self) -> None:
        self.state.paused = True
        self.follower.tracer.sleep()

    def resume(self) -> None:
        """Record again, as if the program began here: whatever exists now is a leaf of what follows."""
        self.state.paused = False
        self.come_back()
        self._most_ops = MAX_OPS
        self.follower.repeats.on = False
        self.values.count_no_more()
        self.forget()

    def come_back(self) -> None:
        """Calls are seen again."""
        if not self.state.between_steps:
            return
        self.state.between_steps = False
        for front in self.fronts:
            front.put_back()
        changed = self.values.drop_changed()
        if changed:
            self.recording.notes.append(
                f"{changed} large tensor{'s' * (changed > 1)} that a recorded step reads changed between the recorded "
                "iterations: what was computed from them is not checked"
            )

    def forget(self) -> None:
        self._forgotten = True
        self.values.forget()
        self.bindings.forget()

    def stand_apart(self, frame: FrameType) -> None:
        """What follows is recorded, as far as it goes, as if the program began here."""
        self._most_ops = min(MAX_OPS, len(self.recording.ops) + AFTERMATH_OPS)
        self.follower.repeats.on = True
        self.values.begin_again()
        self.bindings.forget()
        self._meet(frame)
        self.bindings.name_namespace({**frame.f_globals, **names_in(frame)})

    def meet_if_forgotten(self, frame: FrameType) -> None:
        if self._forgotten and self.state.goes_on:
            self._meet(frame)

    def _meet(self, frame: FrameType) -> None:
        """What exists when recording begins again was there before the step, wherever in it it is first used."""
        self._forgotten = False
        namespace = {**frame.f_globals, **names_in(frame)}
        self.meet_names(namespace)
        self.bindings.name_leaves(namespace)

    def meet_names(self, namespace: dict[str, object]) -> None:
        for _, tensor, _ in tensors_of_namespace(namespace):
            if self.values.known_value(tensor) is None:
                self.values.new_value(tensor, None)

    # -- enough -------------------------------------------------------------------------------------------------

    def written(self) -> None:
        """An op was written: is that enough?"""
        count = len(self.recording.ops)
        if count >= self._most_ops or self.values.holds_more_than(AFTERMATH_BYTES):
            self._enough()
        elif self.live and count >= self._look_at:
            self._look_at += live_steps.LOOK_EVERY
            steps = live_steps.steps_so_far(self.recording)
            if steps >= live_steps.ENOUGH:
                self.state.end_early(
                    f"recording ended after {steps} training steps: one is enough for a report"
                )

    def _enough(self) -> None:
        if not self.apart:
            self.state.end_early(f"recording ended after {MAX_OPS:,} tensor operations")
            return
        frame = self.follower.caller()
        if frame is not None:
            self.bindings.name_namespace({**frame.f_globals, **names_in(frame)})
        self.recording.cut_short = True
        self.follower.runs.writes = False
        self.rest()

    def drew_category(self) -> None:
        """A draw from a distribution over categories: a sampler that does not end is recognised by these."""
        runs = self.follower.runs
        if runs.on:
            if self.state.paused and not self.state.attention:
                self.follower.listen()
            runs.drew()

    def keep_for_good(self) -> None:
        """From now on nobody sees what the program changes in place."""
        with suppress(Exception), self.state.unrecorded:
            self.values.keep_for_good()
