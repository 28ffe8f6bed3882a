import torch
import torch.nn.functional as F

torch.manual_seed(10)
imgs = torch.randn(4, 2, 6, 6)
labels = torch.tensor([0, 2, 1, 1])
K = torch.randn(3, 2, 3, 3) * 0.3
bk = torch.randn(3) * 0.1
W = torch.randn(3 * 2 * 2, 3) * 0.3
bw = torch.zeros(3)

cols = F.unfold(imgs, 3)
conv = K.view(3, -1) @ cols + bk.view(1, 3, 1)
maps = conv.view(4, 3, 4, 4)
act = torch.relu(maps)
blocks = act.view(4, 3, 2, 2, 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(4, 3, 2, 2, 4)
pooled = blocks.max(-1).values
flat = pooled.reshape(4, -1)
logits = flat @ W + bw
loss = F.cross_entropy(logits, labels)

dlogits = F.softmax(logits, 1)
dlogits[range(4), labels] -= 1
dlogits /= 4
dW = flat.T @ dlogits
dbw = dlogits.sum(0)
dflat = dlogits @ W.T
dpooled = dflat.view(4, 3, 2, 2)
dblocks = torch.zeros_like(blocks).scatter_(-1, blocks.argmax(-1, keepdim=True), dpooled.unsqueeze(-1))
dact = dblocks.view(4, 3, 2, 2, 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(4, 3, 4, 4)
dmaps = dact * (maps > 0)
dconv = dmaps.view(4, 3, 16)
dK = (dconv @ cols.transpose(1, 2)).sum(0).view(K.shape)
dbk = dconv.sum((0, 2))
dcols = K.view(3, -1).T @ dconv
dimgs = F.fold(dcols, (6, 6), 3)
print(loss.item(), dK.norm().item(), dimgs.norm().item())
