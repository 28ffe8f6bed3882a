import torch
import torch.nn.functional as F

torch.manual_seed(1)
pixels = torch.randint(0, 256, (6, 10)).to(torch.get_default_dtype())
digits = torch.tensor([0, 1, 2, 0, 1, 2])
W = torch.randn(10, 3) * 5
b = torch.zeros(3)

logits = pixels @ W + b
loss = F.cross_entropy(logits, digits)

probs = F.softmax(logits, dim=1)
onehot = F.one_hot(digits, 3)
dlogits = probs * (1 - onehot / probs) / len(digits)
dW = pixels.T @ dlogits
db = dlogits.sum(0)
W = W - 1e-4 * dW
b = b - 1e-4 * db
print("loss", loss.item())
