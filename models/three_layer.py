# %% [markdown]
# # Three layers, backward pass by hand
#
# The two-layer network with one more hidden layer:
#
# `embedding -> Linear -> BatchNorm -> leaky ReLU -> Linear -> BatchNorm -> leaky ReLU -> Linear`
# `-> cross-entropy`
#
# The gradients of cross-entropy and BatchNorm are worked out on paper first and written as one
# line each. All gradients are right.

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

generator = torch.Generator().manual_seed(1971)
C = torch.randn((vocab_size, embedding_size), generator=generator)

# layer 1: the gain sqrt(2) makes up for the half that the leaky ReLU takes away
W_1 = torch.randn((input_size, hidden_size), generator=generator) * (2 / input_size) ** 0.5
b_1 = torch.randn(hidden_size, generator=generator) * 0.1  # BatchNorm cancels it; for practice
gamma_1 = torch.randn((1, hidden_size), generator=generator) * 0.1 + 1.0
beta_1 = torch.randn((1, hidden_size), generator=generator) * 0.1

# layer 2
W_2 = torch.randn((hidden_size, hidden_size), generator=generator) * (2 / hidden_size) ** 0.5
b_2 = torch.randn(hidden_size, generator=generator) * 0.1
gamma_2 = torch.randn((1, hidden_size), generator=generator) * 0.1 + 1.0
beta_2 = torch.randn((1, hidden_size), generator=generator) * 0.1

# output layer: small, so that the first predictions are close to uniform
W_3 = torch.randn((hidden_size, vocab_size), generator=generator) * 0.02
b_3 = torch.randn(vocab_size, generator=generator) * 0.1

parameters = [C, W_1, b_1, gamma_1, beta_1, W_2, b_2, gamma_2, beta_2, W_3, b_3]
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
        mean_1 = pre_batch_norm_1.mean(0, keepdim=True)
        var_1 = ((pre_batch_norm_1 - mean_1) ** 2).sum(0, keepdim=True) / (n - 1)
        var_inv_1 = (var_1 + 1e-5) ** -0.5
        norm_1 = (pre_batch_norm_1 - mean_1) * var_inv_1
        Z_1 = gamma_1 * norm_1 + beta_1
        A_1 = torch.where(Z_1 > 0, Z_1, 0.01 * Z_1)
        # forward: layer 2
        pre_batch_norm_2 = A_1 @ W_2 + b_2
        mean_2 = pre_batch_norm_2.mean(0, keepdim=True)
        var_2 = ((pre_batch_norm_2 - mean_2) ** 2).sum(0, keepdim=True) / (n - 1)
        var_inv_2 = (var_2 + 1e-5) ** -0.5
        norm_2 = (pre_batch_norm_2 - mean_2) * var_inv_2
        Z_2 = gamma_2 * norm_2 + beta_2
        A_2 = torch.where(Z_2 > 0, Z_2, 0.01 * Z_2)
        # forward: output layer and cross-entropy
        logits = A_2 @ W_3 + b_3
        log_probs = logits - logits.logsumexp(1, keepdim=True)
        loss = -log_probs[range(n), Y_batch].mean()

        # backward: cross-entropy and softmax in one, then the output layer
        d_logits = (log_probs.exp() - F.one_hot(Y_batch, vocab_size)) / n
        d_A_2 = d_logits @ W_3.T
        d_W_3 = A_2.T @ d_logits
        d_b_3 = d_logits.sum(0)
        # backward: layer 2; the leaky ReLU has slope 1 above zero and 0.01 below
        slope_2 = torch.ones_like(Z_2)
        slope_2[Z_2 <= 0] = 0.01
        d_Z_2 = d_A_2 * slope_2
        d_gamma_2 = (d_Z_2 * norm_2).sum(0, keepdim=True)
        d_beta_2 = d_Z_2.sum(0, keepdim=True)
        # every input also moves the mean and the variance: hence the two subtractions, which hold
        # the very sums that are the gradients of beta and gamma; n / (n - 1) is Bessel's correction
        d_pre_batch_norm_2 = (gamma_2 * var_inv_2 / n) * (
            n * d_Z_2 - d_beta_2 - n / (n - 1) * norm_2 * d_gamma_2
        )
        d_A_1 = d_pre_batch_norm_2 @ W_2.T
        d_W_2 = A_1.T @ d_pre_batch_norm_2
        d_b_2 = d_pre_batch_norm_2.sum(0)
        # backward: layer 1, the same again
        slope_1 = torch.ones_like(Z_1)
        slope_1[Z_1 <= 0] = 0.01
        d_Z_1 = d_A_1 * slope_1
        d_gamma_1 = (d_Z_1 * norm_1).sum(0, keepdim=True)
        d_beta_1 = d_Z_1.sum(0, keepdim=True)
        d_pre_batch_norm_1 = (gamma_1 * var_inv_1 / n) * (
            n * d_Z_1 - d_beta_1 - n / (n - 1) * norm_1 * d_gamma_1
        )
        d_emb_flat = d_pre_batch_norm_1 @ W_1.T
        d_W_1 = emb_flat.T @ d_pre_batch_norm_1
        d_b_1 = d_pre_batch_norm_1.sum(0)
        # backward: embedding; a character that occurs twice collects both of its gradients
        d_emb = d_emb_flat.view(emb.shape)
        d_C = torch.zeros_like(C)
        d_C.index_add_(0, X_batch.view(-1), d_emb.view(-1, embedding_size))

        # update
        grads = [d_C, d_W_1, d_b_1, d_gamma_1, d_beta_1]
        grads += [d_W_2, d_b_2, d_gamma_2, d_beta_2, d_W_3, d_b_3]
        learning_rate = 0.1 if step < 100_000 else 0.01
        for p, grad in zip(parameters, grads, strict=True):
            p.data += -learning_rate * grad

        losses.append(loss.item())
        if step % 10_000 == 0:
            print(f"{step:7d}/{max_steps:7d}: {loss.item():.4f}")

# %%
# calibrate: statistics over the whole training set; those of the second BatchNorm need the whole
# first layer, with its own BatchNorm, in front of them
with torch.no_grad():
    emb_flat = C[X_train].view(-1, input_size)
    pre_batch_norm_1 = emb_flat @ W_1 + b_1
    calibrated_mean_1 = pre_batch_norm_1.mean(0, keepdim=True)
    calibrated_var_1 = pre_batch_norm_1.var(0, keepdim=True, unbiased=True)
    norm_1 = (pre_batch_norm_1 - calibrated_mean_1) * (calibrated_var_1 + 1e-5) ** -0.5
    Z_1 = gamma_1 * norm_1 + beta_1
    A_1 = torch.where(Z_1 > 0, Z_1, 0.01 * Z_1)
    pre_batch_norm_2 = A_1 @ W_2 + b_2
    calibrated_mean_2 = pre_batch_norm_2.mean(0, keepdim=True)
    calibrated_var_2 = pre_batch_norm_2.var(0, keepdim=True, unbiased=True)


# %%
# evaluate: the same network, with the calibrated statistics
def predict(X):
    emb_flat = C[X].view(-1, input_size)
    pre_batch_norm_1 = emb_flat @ W_1 + b_1
    norm_1 = (pre_batch_norm_1 - calibrated_mean_1) * (calibrated_var_1 + 1e-5) ** -0.5
    Z_1 = gamma_1 * norm_1 + beta_1
    A_1 = torch.where(Z_1 > 0, Z_1, 0.01 * Z_1)
    pre_batch_norm_2 = A_1 @ W_2 + b_2
    norm_2 = (pre_batch_norm_2 - calibrated_mean_2) * (calibrated_var_2 + 1e-5) ** -0.5
    Z_2 = gamma_2 * norm_2 + beta_2
    A_2 = torch.where(Z_2 > 0, Z_2, 0.01 * Z_2)
    return A_2 @ W_3 + b_3


@torch.no_grad()
def split_loss(split):
    X, Y = {"train": (X_train, Y_train), "val": (X_val, Y_val), "test": (X_test, Y_test)}[split]
    print(f"{split:5s} {F.cross_entropy(predict(X), Y).item():.4f}")


split_loss("train")
split_loss("val")

# %%
# sample 20 names
sample_generator = torch.Generator().manual_seed(2071)

with torch.no_grad():
    for _ in range(20):
        sampled = []
        context = [0] * context_size
        while True:
            probs = F.softmax(predict(torch.tensor([context])), dim=1)
            index = torch.multinomial(probs, num_samples=1, generator=sample_generator).item()
            context = context[1:] + [index]
            sampled.append(index_to_char[index])
            if index == 0:
                break
        print("".join(sampled))
