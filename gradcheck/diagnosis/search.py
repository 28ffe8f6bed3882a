"""Searches for the smallest edit that makes a gradient right, and has it proved."""

import ast
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile

from gradcheck.diagnosis.attempts import Attempt
from gradcheck.diagnosis.clock import Clock
from gradcheck.diagnosis.enumeration import Enumeration, Fitting
from gradcheck.diagnosis.evaluation import CannotEvaluateError
from gradcheck.diagnosis.forward_search import ForwardSearch
from gradcheck.diagnosis.found import Found
from gradcheck.diagnosis.mistakes.writing import Edit
from gradcheck.diagnosis.moves import MoveSearch
from gradcheck.diagnosis.namespace import BindingIndex
from gradcheck.diagnosis.patching import patches_for
from gradcheck.diagnosis.proving import Prover
from gradcheck.diagnosis.sense import Sense
from gradcheck.diagnosis.surroundings import Surroundings
from gradcheck.diagnosis.trial import Setting, Trial
from gradcheck.judge.judged import Judged
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.replay.runner import Patch

_MOST_PROOFS = 12  # edits of one stage that fit the recorded step and are put to the proof, per gradient
_SHARE_OF_MOVES = 0.3  # of the time: there are few, and each costs a replay


class FixSearch:
    """For the gradients of one pass, which could be replayed."""

    def __init__(
        self,
        judgement: Judgement,
        judged_pass: JudgedPass,
        index: BindingIndex,
        holds: Callable[[Found], bool] | None = None,
    ) -> None:
        """`holds` is asked of every edit that replay has proved, where more can be asked than of a recording."""
        self._holds = holds
        assert judged_pass.judge is not None
        self._index = index
        self._around = Surroundings(judgement, judged_pass, judged_pass.judge, index)
        self._prover = Prover(judgement, judged_pass, judged_pass.judge, index)
        self._moves = MoveSearch(self._around, self._prover)
        self._forward = ForwardSearch(self._around, self._prover)
        self._sense = Sense(judged_pass.plan, index)

    def find(self, group: list[Judged], clock: Clock) -> Found | None:
        """The smallest proved edit for the gradients `group` that one line computed and got wrong: of that line, of a
        helper that it was computed from or, where those are right as they stand, of a forward line. Failing that, an
        edit that fits the recorded step and could be proved nowhere else."""
        if self._forward.crossed(group[0]):  # no edit of a line is sought that makes it fit that
            return self._held(self._forward.find(group, clock))
        attempts = self._attempts(group[0])
        if attempts:
            attempts[0].context.steps = self._around.steps(group[0], attempts[0].context)
        edits = Enumeration(attempts, clock)
        stages: tuple[Callable[[], Iterator[Fitting]], ...] = (edits.coefficients, edits.terms, edits.pairs)
        moved = self._held(self._moves.find(group, clock.share(_SHARE_OF_MOVES)))
        singles = edits.singles()
        if moved is not None:
            singles = takewhile(lambda fitting: fitting[1].cost < moved.cost, singles)
        found = self._first_proved(singles, group)
        if found is not None and found.proof.proved:
            return found
        if moved is not None:
            return moved
        forward = self._held(self._forward.find(group, clock))
        if forward is not None:
            return forward
        for stage in stages:
            later = self._first_proved(stage(), group)
            if later is not None and later.proof.proved:
                return later
            found = found or later
        return found

    def fixes(self, found: Found, group: list[Judged]) -> bool:
        """Whether a fix found for another gradient makes these right as well."""
        return bool(found.patches) and self._prover.prove(found.patches, group, found.moved).proved

    def holds_together(self, fixes: list[tuple[Found, list[Judged]]]) -> bool:
        """Whether all these fixes, made at once, leave every gradient concerned right."""
        patches: dict[int, Patch] = {}
        moved: dict[int, int] = {}
        edits: dict[int, tuple[object, str]] = {}
        for found, _ in fixes:
            edit = (found.site.unit.filename, found.site.span), f"{ast.dump(found.tree)} {found.advice}"
            moved.update(found.moved)
            for after, patch in found.patches.items():
                if edits.setdefault(after, edit) != edit:
                    return False  # two edits of one place
                patches[after] = patch
        return self._prover.prove(patches, [judged for _, group in fixes for judged in group], moved).right

    def _first_proved(self, fitting: Iterable[Fitting], group: list[Judged]) -> Found | None:
        """The first that is proved; failing that, the first that is right wherever it could be replayed."""
        fallback: Found | None = None
        tries = 0
        for attempt, single in fitting:
            if not self._sense.makes_sense(attempt.site, single.tree):
                continue
            found = self._proved(attempt, single, group)
            if found is not None and found.proof.right:
                found = None if self._sense.is_arbitrary(attempt, single.tree) else self._held(found)
            if found is not None and found.proof.proved:
                return found
            if found is not None and found.proof.right and fallback is None:
                fallback = found
            tries += 1
            if tries >= _MOST_PROOFS:
                break
        return fallback

    def _held(self, found: Found | None) -> Found | None:
        return found if found is None or self._holds is None or self._holds(found) else None

    def _proved(self, attempt: Attempt, fitting: Edit, group: list[Judged]) -> Found | None:
        if attempt.site.is_alias:
            return self._proved_alone(attempt, fitting, group[0])
        try:
            patches = patches_for(attempt.site, fitting.tree, self._index)
        except CannotEvaluateError:
            return None
        site = attempt.site
        as_written = site, lambda: patches_for(site, site.tree, self._index)
        proof = self._prover.prove(patches, group, as_written=as_written)
        return Found(site, fitting.tree, patches, proof, fitting.cost)

    def _proved_alone(self, attempt: Attempt, fitting: Edit, judged: Judged) -> Found | None:
        site = attempt.site

        def is_right(setting: Setting) -> bool:
            there = Attempt(site, Trial(site, judged, [], setting, self._index), attempt.context)
            outcome = there.tried(fitting.tree)
            return outcome is not None and outcome.fits

        try:
            reads = site.prepare(fitting.tree, site.own[0], self._index).reads
        except CannotEvaluateError:
            return None
        return Found(site, fitting.tree, {}, self._prover.prove_alone(is_right, reads, judged), fitting.cost)

    def _attempts(self, judged: Judged) -> list[Attempt]:
        """The pieces of source whose names are understood: evaluated as they stand they give what was recorded."""
        if judged.of is None or judged.at_return:  # the lines that computed it are right
            return []
        chain = self._around.finder.backward_ops(judged)[::-1]
        sites = self._around.finder.backward(judged)
        if any(self._sense.reads_too_late(site, site.tree) for site in sites):
            return []
        contexts = self._around.contexts(sites, judged)
        values = [value for context in contexts for _, value in context.tensors]
        setting = self._around.setting(judged, values)
        if setting is None:
            return []
        trials = [Trial(site, judged, chain, setting, self._index) for site in sites]
        each = [*map(Attempt, sites, trials, contexts)]
        found = [attempt for attempt in each if attempt.trial.reproduces()]
        # What could be put right in a line that is not understood, such as a factor, is no fault of what is no gradient.
        return found if len(found) == len(each) else [a for a in found if self._around.reads_gradient(a.site)]
