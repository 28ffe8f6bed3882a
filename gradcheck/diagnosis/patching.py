"""An edited piece of source put in the place of the recorded ops, in every replay of the pass."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from gradcheck.diagnosis.evaluation import CannotEvaluateError, Evaluable, Tree
from gradcheck.diagnosis.namespace import BindingIndex
from gradcheck.diagnosis.sites import Execution, Site
from gradcheck.fronts.tape import Value
from gradcheck.replay.runner import Runner


@dataclass(slots=True)
class SitePatch:
    """One execution of a piece, replaced by `evaluable`. Implements `gradcheck.replay.runner.Patch`.

    An edit may make one tensor of two (`dW = dh`, then `dW += ...`). A proof lets that happen, as the program
    would. Where many edits are tried on the same tensors, they are kept `apart`.
    """

    execution: Execution
    evaluable: Evaluable
    apart: bool = False

    @property
    def skipped(self) -> frozenset[int]:
        return self.execution.ops

    @property
    def reads(self) -> tuple[Value, ...]:
        return self.evaluable.reads

    def apply(self, replay: Runner) -> None:
        if not self.execution.ops:
            result = self.evaluable.result(replay.tensor, replay.dtype, replay.variation)
            replay.put(self.execution.value, result.clone() if self.apart else result)
            return
        own = self.execution.value.root
        given: dict[Value, torch.Tensor] = {}

        def tensor_of(value: Value) -> torch.Tensor:
            if value not in given:
                if value.root is own:
                    given[value] = replay.writable(value)
                else:
                    given[value] = replay.tensor(value).clone() if self.apart else replay.tensor(value)
            return given[value]

        for value, held in self.evaluable.run(tensor_of, replay.dtype, replay.variation).items():
            if not isinstance(held, torch.Tensor):
                raise CannotEvaluateError("a gradient is no tensor any more")
            replay.put(value, held.clone() if self.apart else held)  # bound again, not changed in place


def patches_for(
    site: Site,
    tree: Tree,
    index: BindingIndex,
    executions: Iterable[Execution] | None = None,
    apart: bool = False,
) -> dict[int, SitePatch]:
    """The edit at every execution of the piece (or at those given). Raises CannotEvaluateError."""
    chosen = site.executions if executions is None else executions
    return {e.last: SitePatch(e, site.prepare(tree, e, index), apart) for e in chosen}
