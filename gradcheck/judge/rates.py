"""The rate of steps that have no name, as in `self.w1 -= rate * dloss * dout_dw1`: what most of them are times the gradient."""

from gradcheck.judge.judge import Judge
from gradcheck.replay.passes import Candidate

_LEAST = 2  # steps that have it: one other may have the same fault
_PARTS = 1e6  # of one, that a rate which somebody writes is a whole number of, or one over it


def usual_rate(judge: Judge, besides: Candidate) -> float | None:
    """That of most of the others, of those that somebody may have written: a layer whose upstream gradient is wrong moves
    all that it has at the same rate."""
    rates = [
        float(f"{factor:.12g}")
        for step, of, factor in judge.multiples
        if step.binding is None and step.of is of and step is not besides
    ]
    usual = max(rates, key=lambda rate: (_is_written(rate), rates.count(rate)), default=0.0)
    often = rates.count(usual)
    most = _is_written(usual) or 2 * often > len(rates)
    return usual if usual and often >= _LEAST and most else None


def is_of_another_rate(factor: float, usual: float) -> bool:
    """Any number is a multiple of another. That of a rate of its own has few digits, and one of sixteen is none."""
    return _is_written(usual) and not _is_written(factor / usual)


def _is_written(rate: float) -> bool:
    parts = [part * _PARTS for part in ((rate, 1 / rate) if rate else ())]
    return any(round(part) and abs(part - round(part)) < 1e-9 * _PARTS for part in parts)
