import torch

torch.manual_seed(31)
batch, width, classes = 12, 9, 4
x = torch.randn(batch, 6)
y = torch.randint(0, classes, (batch,))

w1 = torch.randn(6, width) / 6**0.5
w2 = torch.randn(width, width) / width**0.5
w3 = torch.randn(width, classes) / width**0.5
b1, b2, b3 = torch.zeros(width), torch.zeros(width), torch.zeros(classes)

# forward
s1 = x @ w1 + b1
o1 = torch.relu(s1)
s2 = o1 @ w2 + b2
o2 = torch.relu(s2)
logits = o2 @ w3 + b3
probs = torch.softmax(logits, dim=1)
loss = -torch.log(probs[torch.arange(batch), y]).mean()

# backward
d_logits = probs.clone()
d_logits[torch.arange(batch), y] -= 1.0
d_logits /= batch
d_w3 = o2.T @ d_logits
d_b3 = d_logits.sum(0)
d_o2 = d_logits @ w3.T
d_s2 = d_o2 * (s2 > 0)
d_w2 = o1.T @ d_s2
d_b2 = d_s2.sum(0)
d_o1 = d_s2 @ w2
d_s1 = d_o1 * (s1 > 0)
d_w1 = x.T @ d_s1
d_b1 = d_s1.sum(0)

lr = 0.1
w1 -= lr * d_w1
b1 -= lr * d_b1
w2 -= lr * d_w2
b2 -= lr * d_b2
w3 -= lr * d_w3
b3 -= lr * d_b3
