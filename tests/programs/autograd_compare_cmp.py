import torch
import torch.nn.functional as F


def check(name, mine, tensor):
    exact = torch.all(mine == tensor.grad).item()
    close = torch.allclose(mine, tensor.grad)
    worst = (mine - tensor.grad).abs().max().item()
    print(f"{name:10s} exact {exact!s:5s} close {close!s:5s} worst {worst:.2e}")


torch.manual_seed(99)
B = 8
x = torch.randn(B, 5)
t = torch.randint(0, 8, (B,))
U = torch.randn(5, 8, requires_grad=True)
c = torch.randn(8, requires_grad=True)
V = torch.randn(8, 8, requires_grad=True)
d = torch.randn(8, requires_grad=True)

pre = x @ U + c
hid = torch.tanh(pre)
logits = hid @ V + d
loss = F.cross_entropy(logits, t)
for p in (U, c, V, d):
    p.grad = None
for q in (pre, hid, logits):
    q.retain_grad()
loss.backward()

dlogits = F.softmax(logits, 1)
dlogits[range(B), t] -= 1
check("logits", dlogits, logits)
dhid = dlogits @ V.T
check("hid", dhid, hid)
dV = hid.T @ dlogits
check("V", dV, V)
dd = dlogits.sum(1)
check("d", dd, d)
dpre = (1 - hid**2) * dhid
check("pre", dpre, pre)
dU = x.T @ dpre
check("U", dU, U)
dc = dpre.sum(0)
check("c", dc, c)
