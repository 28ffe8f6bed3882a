import torch

torch.manual_seed(90)
x = torch.randn(12, 5)
target = torch.randint(0, 4, (12,))
W = torch.randn(5, 4) * 0.7
b = torch.randn(4) * 0.1
n = 12

logits = x @ W + b
counts = logits.exp()
counts_sum = counts.sum(1, keepdim=True)
counts_sum_inv = counts_sum**-1
probs = counts * counts_sum_inv
logprobs = probs.log()
loss = -logprobs[range(n), target].mean()

dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(n), target] = -1.0 / n
dprobs = dlogprobs / probs
dcounts_sum_inv = dprobs * counts
print(dcounts_sum_inv.shape)
dcounts_sum_inv = (dprobs * counts).sum(1, keepdim=True)
dcounts_sum = -(counts_sum**-2) * dcounts_sum_inv
dcounts1 = counts_sum_inv * dprobs
dcounts2 = torch.ones_like(counts) * dcounts_sum
dcounts = dcounts1 + dcounts2
dlogits = counts * dcounts
dW = x.T @ dlogits
db = dlogits.sum(0)
W -= 0.2 * dW
b -= 0.2 * db
