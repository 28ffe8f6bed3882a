import torch
import torch.nn.functional as F

torch.manual_seed(85)
length, batch, n_in, n_h, n_out = 3, 6, 4, 5, 3
seq = torch.randn(length, batch, n_in)
target = torch.randint(0, n_out, (length, batch))
W_x, W_h, b = torch.randn(n_in, 4 * n_h) * 0.4, torch.randn(n_h, 4 * n_h) * 0.4, torch.zeros(4 * n_h)
W_y, b_y = torch.randn(n_h, n_out) * 0.4, torch.zeros(n_out)

for step in range(300):
    hs, cs = [torch.zeros(batch, n_h)], [torch.zeros(batch, n_h)]
    gates, logits = [], []
    loss = 0.0
    for t in range(length):
        a = seq[t] @ W_x + hs[-1] @ W_h + b
        i, f, o = torch.sigmoid(a[:, :n_h]), torch.sigmoid(a[:, n_h : 2 * n_h]), torch.sigmoid(a[:, 2 * n_h : 3 * n_h])
        g = torch.tanh(a[:, 3 * n_h :])
        cs.append(f * cs[-1] + i * g)
        hs.append(o * torch.tanh(cs[-1]))
        gates.append((i, f, o, g))
        logits.append(hs[-1] @ W_y + b_y)
        loss = loss + F.cross_entropy(logits[-1], target[t]) / length

    dW_x, dW_h, db = torch.zeros_like(W_x), torch.zeros_like(W_h), torch.zeros_like(b)
    dW_y, db_y = torch.zeros_like(W_y), torch.zeros_like(b_y)
    dh_next, dc_next = torch.zeros(batch, n_h), torch.zeros(batch, n_h)
    for t in reversed(range(length)):
        i, f, o, g = gates[t]
        dlogits = (logits[t].softmax(1) - F.one_hot(target[t], n_out)) / batch / length
        dW_y += hs[t + 1].T @ dlogits
        db_y += dlogits.sum(0)
        dh = dlogits @ W_y.T + dh_next
        tc = torch.tanh(cs[t + 1])
        dc = dc_next + dh * o * (1 - tc**2)
        da_i, da_f = dc * g * i * (1 - i), dc * cs[t] * f * (1 - f)
        da_o, da_g = dh * tc * o * (1 - o), dc * i * (1 - g**2)
        da = torch.cat([da_i, da_f, da_o, da_g], 1)
        dW_x += seq[t].T @ da
        dW_h += hs[t + 1].T @ da
        db += da.sum(0)
        dh_next = da @ W_h.T
        dc_next = dc * f
    for p, d in ((W_x, dW_x), (W_h, dW_h), (b, db), (W_y, dW_y), (b_y, db_y)):
        p -= 0.3 * d
    if step % 100 == 0:
        print(step, loss.item())
