"""GC102 hidden-by-initialisation: the gradient is right at the initial parameters and wrong as soon as they move.

## What it does

Replays the recorded step, forward and manual backward, at probe points: the same step with its parameters
jittered. A gradient that was right at the recorded parameters and is wrong at a probe point is reported.

The other thing that one step can hide is what a backward function does with the gradient that it is given.
The step is replayed with a random one in its place: one that arrives in the `backward` of a custom
`torch.autograd.Function`, or in the parameter of a helper (`def tanh_backward(dout, cache)`). A line that
ignores it, or reads one element of it, is right for the ones that `sum()` sends, and reported too.

## Why is this bad?

A factor left out of a backward line shows only where the factor is not 1, and a term only where it is not
0. Fresh parameters are full of ones and zeros: the scale of a normalisation layer, its shift, most biases.
A comparison at the first step passes, and the gradient is wrong from the second step on.

## Example

```python
gamma = torch.ones(200)
beta = torch.zeros(200)
...
h = gamma * h_hat + beta
...
dh_hat = dh  # as long as gamma is all ones
```

## Use instead

```python
gamma = torch.ones(200)
beta = torch.zeros(200)
...
h = gamma * h_hat + beta
...
dh_hat = gamma * dh
```

## How it is measured

Each parameter of the step is moved by random amounts, constants and zeros included, and the forward pass
and the person's own backward lines are replayed in float64 on the same batch. The error reported is the
largest local error over the probe points. Probe points at which the forward pass leaves its domain (a
logarithm of a negative number) are not used.

## References

- S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015, https://arxiv.org/abs/1502.03167 (scale 1 and shift
  0 at the start)
- CS231n, Gradient checks: during the characteristic mode of operation,
  https://cs231n.github.io/neural-networks-3/#gradcheck
"""

from collections.abc import Iterator

from gradcheck.base import numbers
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.wording import Case, cases, code, judged_against, pairing_help
from gradcheck.judge.verdict import Problem, Verdict


def check(evidence: Evidence) -> Iterator[Finding]:
    for problem in (Problem.UPSTREAM, Problem.HIDDEN):
        yield from map(_finding, cases(evidence, Verdict, {problem}))


def _finding(case: Case) -> Finding:
    row = case.row
    here, there = numbers.error(row.local_error), numbers.error(row.hidden_error)
    if row.problem is Problem.UPSTREAM:
        only, when = "for the upstream gradient of this loss", "when another upstream gradient arrives"
        note = (
            f"here the error is {here}: the ones of a `sum()`, or zeros, hide what a backward "
            "function does not do with the gradient that it is given"
        )
        linear = "a backward function is linear in its upstream gradient"
        helps = [f"{linear}: every element of {code(row.name)} follows from it"]
    else:
        only = "at the recorded parameters"
        when = f"against {judged_against(row, case.step)} once the parameters move"
        note = (
            f"{only} the error is {here}: values such as a scale of 1 or a bias of 0 "
            "hide it until training has moved them"
        )
        helps = pairing_help(row)
    message = f"{code(row.name)} is the gradient of {code(row.of)} only {only}"
    return case.finding(RULE, message, f"relative error {there} {when}", notes=[note], helps=helps)


RULE = Rule(__name__, __doc__, Severity.ERROR, check, is_diagnosed=True)
