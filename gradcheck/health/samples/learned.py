"""What the last recorded step shows of the network that the program samples from, and of its training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradcheck.fronts.tape import Op, Value
from gradcheck.health.context import PassContext
from gradcheck.health.network.after_step import parameters_after
from gradcheck.health.samples.network import TrainedNetwork, find_predictions, source_of
from gradcheck.health.samples.records import Training
from gradcheck.health.samples.sequences import Token
from gradcheck.health.samples.trained import Trained, trained_on_rows, trained_on_sweep
from gradcheck.health.samples.training_data import TrainingData, from_padded, from_rows, from_strings
from gradcheck.health.samples.vocabulary import Vocabulary, find_vocabulary


class Learned:
    def __init__(self, context: PassContext | None, namespace: Mapping[str, object]) -> None:
        self._context = context
        self.namespace = namespace
        self.iteration = None if context is None else context.iteration
        self.predictions = None if context is None else find_predictions(context)

    def vocabulary(self, classes: int) -> Vocabulary:
        return find_vocabulary(self.namespace, classes)

    @property
    def no_predictions(self) -> str:
        if self._context is None:
            return "no training step could be replayed"
        return "the loss of the training step is no cross-entropy of integer targets"

    def data(self, hint: Token | None) -> tuple[TrainingData | None, Value | None]:
        """The training sequences, and the value of the step that holds the contexts, if they are rows."""
        predictions, context = self.predictions, self._context
        if predictions is None or context is None:
            return None, None
        ops = context.forward.ops
        targets = source_of(ops, predictions.targets)
        if targets is None:
            return None, None
        shown = context.judgement.names.shown
        for value in _integers(ops, predictions.targets):
            contexts = source_of(ops, value)
            if contexts is None or contexts.tensor.shape[:1] != targets.tensor.shape[:1]:
                continue
            made = from_padded(contexts.tensor, targets.tensor)
            if made is None and targets.tensor.ndim == 1:
                made = from_rows(contexts.tensor, targets.tensor, hint)
            if made is not None:
                names = f"`{shown(contexts.value)}` and `{shown(targets.value)}`"
                made.source = f"the {len(made.sequences):,} sequences that the rows of {names} spell"
                return made, value
        rows = int((targets.tensor >= 0).sum())
        return from_strings(self.namespace, rows), None

    def trained(
        self, data: TrainingData | None, contexts: Value | None
    ) -> tuple[Trained, TrainedNetwork | None]:
        predictions, context = self.predictions, self._context
        if predictions is None or context is None:
            return Trained(Training(self.iteration, reason=self.no_predictions)), None
        if data is not None and data.rows is not None and contexts is not None:
            after, all_known = parameters_after(context.judgement.whole, context.judged.plan)
            network = TrainedNetwork(context, predictions, contexts, after if all_known else {})
            end = data.end if isinstance(data.end, int) else None
            trained = trained_on_rows(network, data.rows, end, context.iteration)
            if trained is not None:
                return trained, network if all_known else None
        targets = source_of(context.forward.ops, predictions.targets)
        all_targets = None if targets is None else targets.tensor
        return Trained(trained_on_sweep(context, predictions, all_targets)), None


def _integers(ops: Sequence[Op], targets: Value) -> list[Value]:
    found = dict.fromkeys(v for op in ops for v in (*op.inputs, *op.outputs))
    return [v for v in found if v is not targets and v.shape and v.shape[0] == targets.shape[0]]
