import torch

text = "the quick brown fox jumps over the lazy dog while the small cat sleeps near the old dog".split()
vocab = {w: i for i, w in enumerate(dict.fromkeys(text))}
ids = torch.tensor([vocab[w] for w in text])
torch.manual_seed(35)
V, D, K = len(vocab), 6, 3
W_in = torch.randn(V, D) * 0.3
W_out = torch.randn(V, D) * 0.3
pairs = [(i, j) for i in range(len(ids)) for j in (i - 1, i + 1) if 0 <= j < len(ids)]

for epoch in range(50):
    picks = torch.randint(0, len(pairs), (8,)).tolist()
    center_ids = ids[[pairs[p][0] for p in picks]]
    context_ids = ids[[pairs[p][1] for p in picks]]
    neg_ids = torch.randint(0, V, (8, K))

    center = W_in[center_ids]
    context = W_out[context_ids]
    neg = W_out[neg_ids]
    pos_score = (center * context).sum(1)
    neg_score = (neg @ center.unsqueeze(2)).squeeze(2)
    loss = -torch.sigmoid(pos_score).log().mean() - torch.sigmoid(-neg_score).log().sum(1).mean()

    grad_pos_score = (torch.sigmoid(pos_score) - 1) / 8
    grad_neg_score = torch.sigmoid(neg_score) / 8
    grad_context = grad_pos_score.unsqueeze(1) * center
    grad_neg = grad_neg_score.unsqueeze(2) * center.unsqueeze(1)
    grad_center = grad_pos_score.unsqueeze(1) * context + (grad_neg_score.unsqueeze(2) * neg).sum(1)
    grad_W_in = torch.zeros_like(W_in).index_add_(0, center_ids, grad_center)
    grad_W_out = torch.zeros_like(W_out)
    grad_W_out.index_add_(0, context_ids, grad_context)
    grad_W_out.index_add_(0, neg_ids.flatten(), grad_neg.reshape(-1, D))

    W_in -= 0.5 * grad_W_in
    W_out -= 0.5 * grad_W_out
