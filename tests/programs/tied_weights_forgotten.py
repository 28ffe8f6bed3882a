import torch

torch.manual_seed(20)
X = torch.rand(50, 8)
W = torch.randn(8, 3) * 0.5
b = torch.zeros(3)
c = torch.zeros(8)
vW, vb, vc = torch.zeros_like(W), torch.zeros_like(b), torch.zeros_like(c)

for i in range(4000):
    batch = X[torch.randint(0, 50, (10,))]
    code_in = batch @ W + b
    code = torch.sigmoid(code_in)
    recon = code @ W.T + c
    loss = ((recon - batch) ** 2).sum(1).mean()

    drecon = 2 * (recon - batch) / batch.shape[0]
    dc = drecon.sum(0)
    dcode = drecon @ W
    dcode_in = dcode * code * (1 - code)
    db = dcode_in.sum(0)
    dW = batch.T @ dcode_in

    vW = 0.9 * vW - 0.01 * dW
    vb = 0.9 * vb - 0.01 * db
    vc = 0.9 * vc - 0.01 * dc
    W += vW
    b += vb
    c += vc
