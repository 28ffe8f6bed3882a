"""gradcheck report docs/examples/gc110.py"""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
x, y = torch.rand(500, 4), torch.randint(0, 3, (500,))
W, b = torch.randn(4, 3), torch.zeros(3)

logits = x @ W + b
loss = F.cross_entropy(logits, y)

dlogits = (F.softmax(logits, 1) - F.one_hot(y, 3)) / 500
dW = x.T @ dlogits
db = torch.zeros(3, dtype=torch.bfloat16)
for row in dlogits:
    db += row.bfloat16()          # every row is rounded into a sum that is too large for it

W -= 0.1 * dW
b -= 0.1 * db.float()
