"""GC204 exploding-gradient: the gradient grows from layer to layer, and is far too large in the first ones.

## What it does

Follows the true gradient through the hidden layers of a network, from the last to the first, and reports it
if it more than doubles per layer and grows more than a thousandfold in all. At least three layers of one
kind are needed, each computed from the one before.

The time steps of a recurrent network are one layer that is applied many times, and are not compared.

## Why is this bad?

A learning rate that suits the last layers makes the first ones diverge, and one that suits the first layers
leaves the last ones unchanged. Often the loss becomes infinite or NaN after a few steps.

## Example

```python
Ws = [torch.randn(100, 100) for _ in range(6)]
...
for W in Ws:
    h = torch.relu(h @ W)
```

## Use instead

```python
Ws = [torch.randn(100, 100) * (2 / 100) ** 0.5 for _ in range(6)]
...
for W in Ws:
    h = torch.relu(h @ W)
```

## How it is measured

As for GC203: the true gradient of every layer's output on the recorded minibatch, by a replay in float64,
and a straight line through the logarithms of their norms.

## References

- K. He et al., Delving Deep into Rectifiers, ICCV 2015, https://arxiv.org/abs/1502.01852
- R. Pascanu, T. Mikolov and Y. Bengio, On the difficulty of training recurrent neural networks, ICML 2013,
  https://proceedings.mlr.press/v28/pascanu13.html
"""

from collections.abc import Iterator

from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.trend_wording import trend_findings, trends_looked_at


def check(evidence: Evidence) -> Iterator[Finding]:
    factor, total = evidence.thresholds["GC204.factor-per-layer"], evidence.thresholds["GC204.total"]
    return trend_findings(evidence, RULE, lambda trend: trend.factor > factor and trend.total > total)


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=trends_looked_at)
