import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(14)
x = torch.randn(16, 6)
y = torch.randint(0, 3, (16,))
W_1 = torch.randn(6, 10) * 0.5
b_1 = torch.zeros(10)
W_2 = torch.randn(10, 3) * 0.5
b_2 = torch.zeros(3)

Z_1 = x @ W_1 + b_1
A_1 = np.maximum(Z_1, 0.01 * Z_1)
logits = A_1 @ W_2 + b_2
loss = F.cross_entropy(logits, y)

d_logits = F.softmax(logits, 1)
d_logits[range(16), y] -= 1
d_logits /= 16
d_W_2 = A_1.T @ d_logits
d_b_2 = d_logits.sum(0)
d_A = d_logits @ W_2.T
d_Z = torch.ones_like(Z_1)
d_Z[Z_1 <= 0] = 0.01
d_Z *= d_A
d_W_1 = x.T @ d_Z
d_b_1 = d_Z.sum(0)
for p, d in zip((W_1, b_1, W_2, b_2), (d_W_1, d_b_1, d_W_2, d_b_2)):
    p -= 0.0005 * d
