import torch


def hinge(W, X, y, decay):
    picked = torch.nn.functional.one_hot(y, W.shape[1]).bool()
    s = X @ W
    gap = (s - s[picked][:, None] + 0.5).masked_fill(picked, 0.0)
    loss = gap.clamp(min=0).sum() / len(y) + 0.5 * decay * W.square().sum()

    ds = (gap > 0).to(s.dtype) / len(y)
    ds[picked] = -ds.sum(1)
    dW = decay * W
    dW += X.T @ ds
    return loss, dW


torch.manual_seed(30)
rows, answers = torch.randn(40, 9), torch.randint(0, 5, (40,))
W = torch.randn(9, 5) * 0.05
trace = []
for it in range(1500):
    some = torch.randperm(40)[:20]
    loss, slope = hinge(W, rows[some], answers[some], 1e-3)
    trace.append(loss.item())
    W = W - 0.1 * slope
print(min(trace))
