"""The gradient through a maximum, and another look at its mask afterwards, under nearly the name of the gradient."""

import torch
import torch.nn.functional as F

torch.manual_seed(2)
h = torch.randn(12, 5)
W = torch.randn(5, 8)
y = torch.randint(0, 8, (12,))

scores = h @ W
tops = scores.max(1, keepdim=True).values
shifted = scores - tops
counts = shifted.exp()
total = counts.sum(1, keepdim=True)
probs = counts / total
loss = -probs[range(12), y].log().mean()

dprobs = torch.zeros_like(probs)
dprobs[range(12), y] = -1.0 / (12 * probs[range(12), y])
dtotal = (-counts / total**2 * dprobs).sum(1, keepdim=True)
dcounts = dprobs / total + dtotal
dshifted = dcounts * counts
dtops = (-dshifted).sum(1, keepdim=True)
dscores2 = F.one_hot(scores.max(1).indices, num_classes=8) * dtops
dscores = dshifted + dscores2
dW = h.T @ dscores

# the mask can be made like this, too
dscores2[range(12), scores.argmax(1)] = 1
print(dscores2)
dscores2 = torch.zeros_like(scores)
dscores2[range(12), scores.max(1).indices] = 1
print(dscores2)
