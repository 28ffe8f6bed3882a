"""GC203 vanishing-gradient: the gradient shrinks from layer to layer, and little of it reaches the first ones.

## What it does

Follows the true gradient through the hidden layers of a network, from the last to the first, and reports it
if it shrinks by more than half per layer and to less than a thousandth in all. At least three layers of one
kind are needed, each computed from the one before.

The time steps of a recurrent network are one layer that is applied many times, and are not compared.

## Why is this bad?

All layers are updated with one learning rate. Where the gradient is a thousand times smaller than elsewhere,
parameters hardly change, and the last layers learn on top of first layers that stay random.

## Example

```python
Ws = [torch.randn(100, 100) * 0.01 for _ in range(6)]
...
for W in Ws:
    h = torch.tanh(h @ W)
```

## Use instead

```python
Ws = [torch.randn(100, 100) * (5 / 3) / 100**0.5 for _ in range(6)]
...
for W in Ws:
    h = torch.tanh(h @ W)
```

## How it is measured

The true gradient of every layer's output on the recorded minibatch, by a replay in float64. The factor per
layer is the slope of a straight line through the logarithms of their norms. The norm is used, not the
standard deviation: at a good scale of the weights it stays about the same when the width changes, and the
standard deviation does not.

## References

- X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
  2010, https://proceedings.mlr.press/v9/glorot10a.html
- K. He et al., Delving Deep into Rectifiers, ICCV 2015, https://arxiv.org/abs/1502.01852
- S. Hochreiter, The Vanishing Gradient Problem During Learning Recurrent Neural Nets and Problem Solutions,
  1998
"""

from collections.abc import Iterator

from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.checks.trend_wording import trend_findings, trends_looked_at


def check(evidence: Evidence) -> Iterator[Finding]:
    factor, total = evidence.thresholds["GC203.factor-per-layer"], evidence.thresholds["GC203.total"]
    return trend_findings(evidence, RULE, lambda trend: trend.factor < factor and trend.total < total)


RULE = Rule(__name__, __doc__, Severity.WARNING, check, looked_at=trends_looked_at)
