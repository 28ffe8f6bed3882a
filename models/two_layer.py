# %% [markdown]
# # Two layers, backward pass by hand
#
# A character model that learns to make up first names:
#
# `embedding -> Linear -> BatchNorm -> tanh -> Linear -> cross-entropy`
#
# Every step of the forward pass has a line of its own, down to the softmax and the BatchNorm,
# so that every step of the backward pass can have one too. All gradients are right.

# %%
import random

import torch
import torch.nn.functional as F

# %%
# one name per line; "." (index 0) stands for both the start and the end of a name
with open("data/names.txt") as file:
    names = file.read().splitlines()
characters = sorted(set("".join(names)))
char_to_index = {char: index + 1 for index, char in enumerate(characters)}
char_to_index["."] = 0
index_to_char = {index: char for char, index in char_to_index.items()}
vocab_size = len(char_to_index)
print(f"{len(names)} names, {vocab_size} characters")

# %%
context_size = 4  # how many characters the model sees when it predicts the next one


def build_dataset(some_names):
    X, Y = [], []
    for name in some_names:
        context = [0] * context_size
        for char in name + ".":
            index = char_to_index[char]
            X.append(context)
            Y.append(index)
            context = context[1:] + [index]
    return torch.tensor(X), torch.tensor(Y)


random.seed(70)
random.shuffle(names)
train_end = int(0.8 * len(names))
val_end = int(0.9 * len(names))
X_train, Y_train = build_dataset(names[:train_end])
X_val, Y_val = build_dataset(names[train_end:val_end])
X_test, Y_test = build_dataset(names[val_end:])
print(X_train.shape, X_val.shape, X_test.shape)

# %%
embedding_size = 10
hidden_size = 200
input_size = context_size * embedding_size

generator = torch.Generator().manual_seed(1970)
C = torch.randn((vocab_size, embedding_size), generator=generator)

# layer 1: the gain 5/3 makes up for the squashing of tanh
W_1 = torch.randn((input_size, hidden_size), generator=generator) * (5 / 3) / input_size**0.5
b_1 = torch.randn(hidden_size, generator=generator) * 0.1  # BatchNorm cancels it; for practice

# BatchNorm 1: not exactly 1 and 0, because such round numbers can hide a wrong gradient
gamma_1 = torch.randn((1, hidden_size), generator=generator) * 0.1 + 1.0
beta_1 = torch.randn((1, hidden_size), generator=generator) * 0.1

# output layer: small, so that the first predictions are close to uniform
W_2 = torch.randn((hidden_size, vocab_size), generator=generator) * 0.02
b_2 = torch.randn(vocab_size, generator=generator) * 0.1

parameters = [C, W_1, b_1, gamma_1, beta_1, W_2, b_2]
print(sum(p.nelement() for p in parameters), "parameters")

# %%
max_steps = 200_000
batch_size = 32
n = batch_size  # short, because the formulas are full of it
losses = []

with torch.no_grad():  # the backward pass is ours, autograd has nothing to record
    for step in range(max_steps):
        # minibatch
        batch = torch.randint(0, X_train.shape[0], (batch_size,), generator=generator)
        X_batch, Y_batch = X_train[batch], Y_train[batch]

        # forward: embedding and layer 1
        emb = C[X_batch]
        emb_flat = emb.view(n, input_size)
        pre_batch_norm_1 = emb_flat @ W_1 + b_1
        # forward: BatchNorm 1, with Bessel's correction (n - 1) in the variance
        mean_1 = pre_batch_norm_1.sum(0, keepdim=True) / n
        centred_1 = pre_batch_norm_1 - mean_1
        centred_squared_1 = centred_1**2
        var_1 = centred_squared_1.sum(0, keepdim=True) / (n - 1)
        var_inv_1 = (var_1 + 1e-5) ** -0.5
        norm_1 = centred_1 * var_inv_1
        Z_1 = gamma_1 * norm_1 + beta_1
        # forward: activation and output layer
        A_1 = torch.tanh(Z_1)
        logits = A_1 @ W_2 + b_2
        # forward: softmax and cross-entropy; the maximum only keeps exp() from overflowing
        shifted_logits = logits - logits.max(1, keepdim=True).values
        counts = shifted_logits.exp()
        counts_sum = counts.sum(1, keepdim=True)
        counts_sum_inv = counts_sum**-1
        probs = counts * counts_sum_inv
        log_probs = probs.log()
        loss = -log_probs[range(n), Y_batch].mean()

        # backward: cross-entropy and softmax
        d_log_probs = torch.zeros_like(log_probs)
        d_log_probs[range(n), Y_batch] = -1.0 / n
        d_probs = d_log_probs / probs
        d_counts_sum_inv = (d_probs * counts).sum(1, keepdim=True)
        d_counts_sum = -(counts_sum**-2) * d_counts_sum_inv
        d_counts = d_probs * counts_sum_inv + d_counts_sum  # used twice, so two terms
        d_shifted_logits = d_counts * counts
        # softmax does not change when a row is shifted: nothing flows through the maximum
        d_logits = d_shifted_logits.clone()
        # backward: output layer and activation
        d_A_1 = d_logits @ W_2.T
        d_W_2 = A_1.T @ d_logits
        d_b_2 = d_logits.sum(0)
        d_Z_1 = d_A_1 * (1 - A_1**2)
        # backward: BatchNorm 1
        d_gamma_1 = (d_Z_1 * norm_1).sum(0, keepdim=True)
        d_beta_1 = d_Z_1.sum(0, keepdim=True)
        d_norm_1 = d_Z_1 * gamma_1
        d_var_inv_1 = (d_norm_1 * centred_1).sum(0, keepdim=True)
        d_var_1 = -0.5 * (var_1 + 1e-5) ** -1.5 * d_var_inv_1
        d_centred_squared_1 = torch.ones_like(centred_squared_1) / (n - 1) * d_var_1
        d_centred_1 = d_norm_1 * var_inv_1
        d_centred_1 += 2 * centred_1 * d_centred_squared_1  # the way through the variance
        d_mean_1 = -d_centred_1.sum(0, keepdim=True)
        d_pre_batch_norm_1 = d_centred_1 + d_mean_1 / n
        # backward: layer 1 and embedding
        d_emb_flat = d_pre_batch_norm_1 @ W_1.T
        d_W_1 = emb_flat.T @ d_pre_batch_norm_1
        d_b_1 = d_pre_batch_norm_1.sum(0)
        d_emb = d_emb_flat.view(emb.shape)
        # picking rows of C is a product with a one-hot matrix
        one_hot = F.one_hot(X_batch.view(-1), vocab_size).to(d_emb.dtype)
        d_C = one_hot.T @ d_emb.view(-1, embedding_size)

        # update
        grads = [d_C, d_W_1, d_b_1, d_gamma_1, d_beta_1, d_W_2, d_b_2]
        learning_rate = 0.1 if step < 100_000 else 0.01
        for p, grad in zip(parameters, grads, strict=True):
            p -= learning_rate * grad

        losses.append(loss.item())
        if step % 10_000 == 0:
            print(f"{step:7d}/{max_steps:7d}: {loss.item():.4f}")

# %%
# calibrate the BatchNorm: its statistics over the whole training set, for single examples later
with torch.no_grad():
    emb_flat = C[X_train].view(-1, input_size)
    pre_batch_norm_1 = emb_flat @ W_1 + b_1
    calibrated_mean_1 = pre_batch_norm_1.mean(0, keepdim=True)
    calibrated_var_1 = pre_batch_norm_1.var(0, keepdim=True, unbiased=True)


# %%
# evaluate: the same network, with the calibrated statistics
@torch.no_grad()
def split_loss(split):
    X, Y = {"train": (X_train, Y_train), "val": (X_val, Y_val), "test": (X_test, Y_test)}[split]
    emb_flat = C[X].view(-1, input_size)
    pre_batch_norm_1 = emb_flat @ W_1 + b_1
    norm_1 = (pre_batch_norm_1 - calibrated_mean_1) * (calibrated_var_1 + 1e-5) ** -0.5
    A_1 = torch.tanh(gamma_1 * norm_1 + beta_1)
    logits = A_1 @ W_2 + b_2
    print(f"{split:5s} {F.cross_entropy(logits, Y).item():.4f}")


split_loss("train")
split_loss("val")

# %%
# sample 20 names
sample_generator = torch.Generator().manual_seed(2070)

with torch.no_grad():
    for _ in range(20):
        sampled = []
        context = [0] * context_size
        while True:
            emb_flat = C[torch.tensor([context])].view(1, input_size)
            pre_batch_norm_1 = emb_flat @ W_1 + b_1
            norm_1 = (pre_batch_norm_1 - calibrated_mean_1) * (calibrated_var_1 + 1e-5) ** -0.5
            A_1 = torch.tanh(gamma_1 * norm_1 + beta_1)
            logits = A_1 @ W_2 + b_2
            probs = F.softmax(logits, dim=1)
            index = torch.multinomial(probs, num_samples=1, generator=sample_generator).item()
            context = context[1:] + [index]
            sampled.append(index_to_char[index])
            if index == 0:
                break
        print("".join(sampled))
