import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(0)
X = torch.randn(15, 4).numpy().astype(np.float64)
y = torch.randint(0, 3, (15,)).numpy()
W = torch.nn.init.xavier_uniform_(torch.empty(4, 3)).numpy().astype(np.float64)
lr = 0.2
for epoch in range(10):
    scores = X @ W
    probs = F.softmax(torch.tensor(scores), dim=1).numpy()
    loss = -np.log(probs[np.arange(15), y]).mean()
    dscores = (probs - np.eye(3)[y]) / 15
    dW = X.T @ dscores
    W -= lr * dW
print(loss)
