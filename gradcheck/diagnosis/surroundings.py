"""What surrounds a piece of source in one pass: the names in scope there, and the points at which edits are tried."""

from dataclasses import dataclass

import torch

from gradcheck.diagnosis.mistakes.writing import Context, Step
from gradcheck.diagnosis.namespace import BindingIndex
from gradcheck.diagnosis.sites import Site, SiteFinder
from gradcheck.diagnosis.trial import Setting
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.replay.run import PassOps, PassRun

_MOST_TENSORS = 120  # names tried as operands: the latest, which a line is likeliest to be about
_MOST_LITERALS = 20  # a network has a slope or two and an eps; more than that are data


@dataclass(eq=False)
class Surroundings:
    """Of one pass, shared by the searches in it."""

    judgement: Judgement
    judged_pass: JudgedPass
    judge: Judge
    index: BindingIndex

    def __post_init__(self) -> None:
        self._literals = _floats(self.judged_pass.plan.forward_ops)
        self.finder = SiteFinder(
            self.judgement.recording.ops, self.judged_pass.plan, self.judgement.places, self.judge.rooted
        )

    def contexts(self, sites: list[Site], judged: Judged) -> list[Context]:
        """For each site what its edits may use."""
        read = [value for op in self.finder.backward_ops(judged) for value in op.inputs]
        of = [judged.of] if judged.of is not None else []
        sizes = [size for value in (*of, *read) for size in value.shape if size > 1]
        shape = tuple(judged.of.shape) if judged.of is not None else ()
        return [self._context(site, shape, list(dict.fromkeys(sizes))) for site in sites]

    def _context(self, site: Site, shape: tuple[int, ...], sizes: list[int]) -> Context:
        namespace = site.namespace(site.own[-1], self.index)
        names: dict[Value, str] = {}
        for name, value in namespace.tensors():
            # Plain names before items and attributes, then the nearest scope, which comes first.
            is_better = value not in names or (name.isidentifier() and not names[value].isidentifier())
            if value.birth <= namespace.when and is_better:
                names[value] = name
        nearest = sorted(((name, value) for value, name in names.items()), key=lambda pair: -pair[1].birth)
        return Context(
            nearest[:_MOST_TENSORS], list(namespace.numbers()), namespace.known_as, shape, namespace.parameters,
            frozenset(self.judged_pass.plan.forward_values), sizes, self._literals,
        )  # fmt: skip

    def setting(self, judged: Judged, also: list[Value]) -> Setting | None:
        """Where edits are tried: the recorded step or, for a fault that does not show there, a probe point. `also`
        are values that an edit may read."""
        prepared = PassOps(self.judged_pass.plan, also)
        judge, overrides = self.judge, None
        if judged.hidden_error is not None:
            if not self.judged_pass.points:
                return None
            judge, overrides = self.judged_pass.points[0].judging, self.judged_pass.points[0].overrides
        run = PassRun(prepared, torch.float64, overrides, keep=judged.version.after)
        return Setting(judge, run.manual) if run.manual is not None else None

    def reads_gradient(self, site: Site) -> bool:
        """Whether its value is computed from one."""
        known = {judged.candidate.value.root for judged in self.judge.judged}
        known |= {value.root for value in self.judgement.recording.gradient_named}
        made = flow.ancestors(site.own[0].value)
        return any(v.root in known or (v.producer and v.producer.kind is Kind.UPSTREAM) for v in made)

    def upstream(self, judged: Judged) -> list[Value]:
        """The values whose gradients the line of this one read; the loss if it read none."""
        read = {value.root for op in self.finder.backward_ops(judged) for value in op.inputs}
        found = [
            other.of
            for other in self.judge.judged
            if other.of is not None
            and other is not judged
            and other.candidate.value.root in read
            and other.candidate.value.root is not judged.candidate.value.root
        ]
        return list(dict.fromkeys(found)) or [self.judged_pass.plan.loss]

    def steps(self, judged: Judged, context: Context) -> list[Step]:
        """Single forward operations from the value of the gradient to one whose gradient has a name here."""
        if judged.of is None:
            return []
        names = {value: text for text, value in reversed(context.tensors)}
        found = []
        for op in self.judged_pass.plan.forward_ops:
            if not isinstance(op.out, Value) or judged.of not in op.inputs:
                continue
            for upstream in self.judge.judged:
                if upstream.of is op.out and upstream.candidate.value in names:
                    value, result = names.get(judged.of, ""), names.get(op.out, "")
                    found.append(Step(op, names[upstream.candidate.value], value, result))
        return found


def _floats(ops: list[Op]) -> list[float]:
    """The Python numbers that the forward pass computes with, but for whole ones."""
    numbers = (a for op in ops for a in (*op.args, *(op.kwargs or {}).values()) if type(a) is float)
    return [number for number in dict.fromkeys(numbers) if not number.is_integer()][:_MOST_LITERALS]
