"""The parameters of one recorded step: their spread, their gradients, and what the step changed them by."""

import math

import torch

from gradcheck.fronts.tape import Value
from gradcheck.health.context import PassContext
from gradcheck.health.network.probing import fed
from gradcheck.health.updates.proportional import factors_of_moves
from gradcheck.health.updates.records import ParameterRecord, StepRecord
from gradcheck.health.updates.written import Writings
from gradcheck.judge.step.effects import from_gradients, moves, ops_that_move
from gradcheck.judge.step.parameters import Parameter, span_of
from gradcheck.judge.step.records import Movement
from gradcheck.judge.step.still import may_be_still
from gradcheck.judge.verdict import Verdict
from gradcheck.replay.compare import norm
from gradcheck.replay.runner import attempted
from gradcheck.replay.slices import produced

GOAL = 1e-3  # update to data; about -3 as log10 is healthy (Karpathy, Building makemore Part 3)
# What is spread less than this about its mean is all one number, and what moves less has not moved.
_ROUNDING = 1e-12


def measure_parameters(context: PassContext, writings: Writings) -> tuple[StepRecord, list[Parameter]]:
    """And the parameters of the step, in the order of its forward pass."""
    return _Step(context, writings).measured()


class _Step:
    def __init__(self, context: PassContext, writings: Writings) -> None:
        self._context = context
        self._writings = writings
        self._judge = context.judge
        self._names = context.judgement.names
        self._places = context.judgement.places
        self._parameters = context.parameters
        self._moves: dict[Value, torch.Tensor] = {}

    def measured(self) -> tuple[StepRecord, list[Parameter]]:
        context = self._context
        result = context.judged.result
        record = StepRecord(
            context.index, context.iteration, minimised=result.flow.minimised, loss=result.loss,
            loss_location=result.loss_location, loss_before=result.loss_value,
        )  # fmt: skip
        wrong = (Verdict.INTRODUCED, Verdict.INHERITED, Verdict.COMPENSATED)
        record.wrong_gradients = sum(row.verdict in wrong for row in result.gradients)
        uphill = (Movement.ASCENDS, Movement.ANOTHERS)
        record.wrong_gradients += sum(update.movement in uphill for update in result.flow.updates)
        moved = {p.value: span_of(p) for p in self._parameters if p.moves}
        factors = {}
        if moved:
            ops = ops_that_move(self._judge, moved)
            gradients = [judged.version for p in self._parameters for judged in p.own]
            shorter = from_gradients(self._judge, ops, moved, gradients)
            self._moves = moves(self._judge, shorter[0], moved, given=shorter[1])
            factors = factors_of_moves(self._judge, ops, moved, self._moves, shorter)
        ops = context.judged.plan.forward_ops
        first_read = {value.root: op.index for op in reversed(ops) for value in op.inputs}
        last = ops[-1].index
        # By the forward pass: the order is the same at every iteration.
        kept = sorted(
            filter(self._is_parameter, self._parameters), key=lambda p: first_read.get(p.value.root, last)
        )
        for parameter in kept:
            made = self._record(parameter)
            if made is None:
                continue
            factor = factors.get(parameter.value)
            if factor is not None and made.update_std is not None:
                made.learning_rate = self._writings.learning_rate(factor.number, factor.op)
            record.parameters.append(made)
        self._losses(record)
        return record, kept

    def _is_parameter(self, parameter: Parameter) -> bool:
        """Whether it is one, and no input or initial state, which have gradients as well."""
        if parameter.moves:
            return True
        siblings = [p.value for p in self._parameters if p is not parameter]
        return may_be_still(parameter.value, siblings, self._context.judge)

    def _record(self, parameter: Parameter) -> ParameterRecord | None:
        value = parameter.value
        data = self._context.forward.known(value)
        if data is None or not data.is_floating_point() or not data.numel():
            return None
        data = data.detach()
        own = parameter.own[-1] if parameter.own else None
        name = self._names.shown_for(value, own.candidate.name if own is not None else "")
        record = ParameterRecord(name, tuple(data.shape), sum(size > 1 for size in data.shape) >= 2)
        record.mean, record.std = _mean(data), _spread(data)
        gradient = own.found if own is not None else None
        if own is not None and gradient is not None:
            record.gradient = own.candidate.name
        else:
            gradient = self._context.truth.get(value)
        if gradient is not None and gradient.numel():
            record.gradient_mean, record.gradient_std = _mean(gradient), _std(gradient)
        move = self._moves.get(value)
        if move is not None and bool(torch.isfinite(move).all()):
            record.location = self._places.location(parameter.deciding[-1].op)
            if norm(move) > _ROUNDING * norm(data):
                record.update_std = _std(move)
        return record

    # -- what the step does to the loss --------------------------------------------------------------------------

    def _losses(self, record: StepRecord) -> None:
        """On its own minibatch."""
        median = record.median_ratio
        if median is None:
            return
        record.loss_after = self._loss_after(1.0)
        record.goal_factor = GOAL / 10**median
        record.loss_at_goal = self._loss_after(record.goal_factor)

    def _loss_after(self, factor: float) -> float | None:
        plan = self._context.judged.plan
        made = produced(plan.forward_ops)
        if any(value in made or value.root is not value for value in self._moves):
            return None
        start = self._judge.run.start_tensors()
        for value, move in self._moves.items():
            start[value] = torch.add(self._context.forward.tensor(value).detach(), move, alpha=factor)
        loss = attempted(fed(plan.forward_ops, start=start).tensor, plan.loss)
        return None if loss is None else float(loss.sum())


def _mean(tensor: torch.Tensor) -> float:
    return float(tensor.double().mean())


def _std(tensor: torch.Tensor) -> float:
    """About the mean, over all elements (not n - 1): a single number has no spread."""
    return float(tensor.double().std(correction=0))


def _spread(tensor: torch.Tensor) -> float:
    std = _std(tensor)
    largest = float(torch.linalg.vector_norm(tensor, math.inf))
    return 0.0 if math.isfinite(std) and std <= _ROUNDING * largest else std
