import torch
import torch.nn.functional as F

torch.manual_seed(7)
tokens = torch.tensor([[1, 2, 1], [0, 3, 2], [2, 2, 4], [4, 1, 0], [3, 3, 3]])
labels = torch.tensor([2, 0, 1, 1, 2])
table = torch.randn(5, 4)
W = torch.randn(12, 3) * 0.4
b = torch.zeros(3)
n = tokens.shape[0]

emb = table[tokens]
x = emb.reshape(n, -1)
logits = x @ W + b
logprobs = F.log_softmax(logits, 1)
loss = -logprobs[torch.arange(n), labels].mean()

dlogprobs = torch.zeros_like(logprobs)
dlogprobs[torch.arange(n), labels] = -1 / n
dlogits = dlogprobs - logprobs.exp() * dlogprobs.sum(1, keepdim=True)
dW = x.T @ dlogits
db = dlogits.sum(0)
dx = dlogits @ W.T
demb = dx.view_as(emb)
dtable = torch.zeros_like(table)
dtable[tokens] = demb
print(loss.item(), dtable)
