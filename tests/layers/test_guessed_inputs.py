"""Right layers that were accused, or not judged, for the inputs that were put together for them."""

from __future__ import annotations

import torch
from torch import nn

import gradcheck
from gradcheck.layers.records import Status


class MaskedSoftmax(torch.autograd.Function):
    """A row of which nothing is left has no meaning."""

    @staticmethod
    def forward(ctx, scores, mask):
        p = torch.softmax(scores.masked_fill(~mask, -1e9), dim=-1)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx, dp):
        (p,) = ctx.saved_tensors
        return p * (dp - (p * dp).sum(-1, keepdim=True)), None


def turned(x):
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


class Turned(torch.autograd.Function):
    """In pairs: an odd number of features has no halves."""

    @staticmethod
    def forward(ctx, x, cos, sin):
        ctx.save_for_backward(cos, sin)
        return x * cos + turned(x) * sin

    @staticmethod
    def backward(ctx, dy):
        cos, sin = ctx.saved_tensors
        return dy * cos - turned(dy * sin), None, None


class Recurrence(torch.autograd.Function):
    """`b` is no bias, and `c` no state: they are as large as `x`."""

    @staticmethod
    def forward(ctx, x, b, c):
        rows, steps, size = x.shape
        h, kept = x.new_zeros(rows, size), []
        for t in range(steps):
            h = b[:, t] * h + c[:, t] * x[:, t]
            kept.append(h)
        ctx.save_for_backward(x, b, c, torch.stack(kept, 1))
        return torch.stack(kept, 1)

    @staticmethod
    def backward(ctx, dy):
        x, b, c, kept = ctx.saved_tensors
        dx, db, dc = (torch.zeros_like(each) for each in (x, b, c))
        dh = torch.zeros_like(x[:, 0])
        for t in reversed(range(x.shape[1])):
            dh = dh + dy[:, t]
            db[:, t] = dh * (kept[:, t - 1] if t else 0)
            dc[:, t], dx[:, t] = dh * x[:, t], dh * c[:, t]
            dh = dh * b[:, t]
        return dx, db, dc


class Paths(torch.autograd.Function):
    """The log of the sum over all paths: `moves` is a square."""

    @staticmethod
    def forward(ctx, scores, moves):
        alphas = [scores[0]]
        for score in scores[1:]:
            alphas.append(torch.logsumexp(alphas[-1].unsqueeze(1) + moves, 0) + score)
        ctx.save_for_backward(scores, moves, torch.stack(alphas))
        return torch.logsumexp(alphas[-1], 0)

    @staticmethod
    def backward(ctx, g):
        scores, moves, alphas = ctx.saved_tensors
        total, beta = torch.logsumexp(alphas[-1], 0), torch.zeros_like(scores[0])
        d_scores, d_moves = torch.zeros_like(scores), torch.zeros_like(moves)
        d_scores[-1] = (alphas[-1] - total).exp()
        for t in range(len(scores) - 2, -1, -1):
            after = scores[t + 1] + beta
            d_moves += (alphas[t].unsqueeze(1) + moves + after - total).exp()
            beta = torch.logsumexp(moves + after, 1)
            d_scores[t] = (alphas[t] + beta - total).exp()
        return d_scores * g, d_moves * g


class Slopes:
    """One for each head, which are as many as channels."""

    def __init__(self, n_heads):
        self.slopes = torch.tensor([2.0 ** -(1 + head) for head in range(n_heads)])

    def forward(self, scores):
        _, heads, rows, columns = scores.shape
        apart = (torch.arange(columns) - torch.arange(rows)[:, None]).to(scores.dtype)
        self.p = torch.softmax(scores + self.slopes.view(1, heads, 1, 1) * apart, -1)
        return self.p

    def backward(self, dp):
        return self.p * (dp - (dp * self.p).sum(-1, keepdim=True))


class Constants(nn.Module):
    """The scale is computed of the batch, and is a constant."""

    def __init__(self, size):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))

    def forward(self, x):
        with torch.no_grad():
            self.scale = 1 / x.std(0, unbiased=False).clamp_min(0.1)
        self.x = x
        return x * self.scale * self.gain

    def backward(self, dy):
        self.gain.grad = (dy * self.x * self.scale).sum(0)
        return dy * self.scale * self.gain


class Normed:
    def __init__(self, fan_in, fan_out):
        self.v, self.g = torch.randn(fan_out, fan_in), torch.ones(fan_out, 1)

    def forward(self, x):
        self.x, self.norm = x, self.v.norm(dim=1, keepdim=True)
        self.unit = self.v / self.norm
        self.w = self.g * self.unit
        return x @ self.w.T

    def backward(self, dy):
        dw = dy.T @ self.x
        self.dg = (dw * self.v).sum(1, keepdim=True)  # wrong
        self.dv = self.g / self.norm * (dw - self.dg * self.unit)
        return dy @ self.w


class Overlap(torch.autograd.Function):
    @staticmethod
    def forward(ctx, p, t):
        both, each = (p * t).sum(1), (p * p).sum(1) + (t * t).sum(1)
        ctx.save_for_backward(p, t, both, each)
        score = (2 * both + 1) / (each + 1)
        return (1 - score).mean()

    @staticmethod
    def backward(ctx, g):
        p, t, both, each = ctx.saved_tensors
        above, below = (2 * both + 1)[:, None], (each + 1)[:, None]
        dscore = 2 * t / below - above * 2 * p / below**2
        return g * dscore / len(p), None  # wrong


class Gates(torch.autograd.Function):
    """All gates in one product: with a weight as small as the state, `chunk` gives what broadcasts, and `backward` raises."""

    @staticmethod
    def forward(ctx, x, h, c, weight, again, b):
        i, f, g, o = (x @ weight + h @ again + b).chunk(4, dim=1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        kept = f * c + i * g
        ctx.save_for_backward(x, h, c, weight, again, i, f, g, o, kept.tanh())
        return o * kept.tanh(), kept

    @staticmethod
    def backward(ctx, dh, dkept):
        x, h, c, weight, again, i, f, g, o, squashed = ctx.saved_tensors
        dc = dkept + dh * o * (1 - squashed**2)
        parts = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * squashed * o * (1 - o)
        dz = torch.cat(parts, dim=1)
        return dz @ weight.T, dz @ again.T, dc * f, x.T @ dz, h.T @ dz, dz.sum(0)


class OnlyGates(torch.autograd.Function):
    """What comes before is computed elsewhere: four times as many features as the state has."""

    @staticmethod
    def forward(ctx, z, c_prev):
        i, f, g, o = z.chunk(4, dim=1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c_prev + i * g
        ctx.save_for_backward(i, f, g, o, c.tanh(), c_prev)
        return o * c.tanh(), c

    @staticmethod
    def backward(ctx, dh, dc):
        i, f, g, o, squashed, c_prev = ctx.saved_tensors
        dc = dc + dh * o * (1 - squashed**2)
        parts = (
            dc * g * i * (1 - i),
            dc * c_prev * f * (1 - f),
            dc * i * (1 - g**2),
            dh * squashed * o * (1 - o),
        )
        return torch.cat(parts, 1), dc * f


class Blocks(torch.autograd.Function):
    """Sixteen features make a block, and fewer none."""

    @staticmethod
    def forward(ctx, x):
        rows, features = x.shape
        blocks = x.view(rows, features // 16, 16)
        return (blocks - blocks.mean(-1, keepdim=True)).view(rows, features)

    @staticmethod
    def backward(ctx, dy):
        rows, features = dy.shape
        blocks = dy.view(rows, features // 16, 16)
        return (blocks - blocks.mean(-1, keepdim=True)).view(rows, features)


class WrongBlocks(Blocks):
    @staticmethod
    def backward(ctx, dy):
        rows, features = dy.shape
        blocks = dy.view(rows, features // 16, 16)
        return (blocks - blocks.mean()).view(rows, features)


def test_a_weight_of_several_gates_may_be_called_anything():
    report = gradcheck.check_layer(Gates, fix_budget_s=0.0)
    assert not report.failures, str(report)
    assert report.summary["passed"] >= 5


def test_the_state_has_a_part_of_the_features_of_the_gates():
    report = gradcheck.check_layer(OnlyGates, fix_budget_s=0.0)
    assert not report.failures, str(report)
    assert report.cases[0].shapes == ["3,20", "3,5"]


def test_sizes_are_multiples_of_what_the_layer_divides_by():
    assert gradcheck.check_layer(Blocks, fix_budget_s=0.0).exit_status == 0
    assert gradcheck.check_layer(WrongBlocks, fix_budget_s=0.0).failures


def test_every_row_of_a_mask_keeps_something():
    report = gradcheck.check_layer(MaskedSoftmax, fix_budget_s=0.0)
    assert not report.failures, str(report)
    assert report.summary["passed"] >= 12


def test_an_odd_number_of_features_is_not_for_what_is_split_in_two():
    report = gradcheck.check_layer(Turned, ranks=[2], fix_budget_s=0.0)
    assert not report.failures, str(report)
    assert [case.shapes[0] for case in report.cases if case.name == "odd sizes"] == ["3,14"]


def test_whatever_its_name_says_it_may_be_as_large_as_the_activations():
    assert gradcheck.check_layer(Recurrence, fix_budget_s=0.0).exit_status == 0


def test_a_square_of_features_is_tried():
    report = gradcheck.check_layer(Paths, fix_budget_s=0.0)
    assert not report.failures, str(report)
    assert report.summary["passed"] >= 4


def test_there_may_be_as_many_heads_as_channels():
    assert gradcheck.check_layer(Slopes, fix_budget_s=0.0).exit_status == 0


def test_what_a_layer_computes_without_gradients_is_a_constant():
    assert gradcheck.check_layer(Constants, fix_budget_s=0.0).exit_status == 0


def test_a_gradient_that_reads_a_wrong_one_is_no_fault_of_its_own():
    report = gradcheck.check_layer(Normed, fix_budget_s=0.0)
    assert [failure.report.findings[0].evidence["gradient"] for failure in report.failures] == ["self.dg"]


def test_the_derivative_of_a_score_is_no_gradient_of_it():
    report = gradcheck.check_layer(Overlap, fix_budget_s=0.0)
    assert {failure.report.findings[0].rule for failure in report.failures} == {"GC101"}, str(report)


class Kept(torch.autograd.Function):
    """`forward` does nothing with `dim` but keep it: that it is a whole number shows in `backward` alone."""

    @staticmethod
    def forward(ctx, w, dim):
        ctx.save_for_backward(w, dim)
        return w.clamp(min=0)

    @staticmethod
    def backward(ctx, dout):
        w, dim = ctx.saved_tensors
        return dout * (w > 0) - (w > 9).sum(dim.item(), keepdim=True), None


def test_what_is_only_kept_may_be_anything():
    assert not gradcheck.check_layer(Kept, fix_budget_s=0.0).failures


def spike_slope(dout, x, alpha):
    grad_x = torch.clamp_max(((x >= 0.0) * 2.0 - 1.0) / x, alpha)
    return dout * grad_x, None


class SpikeFunction(torch.autograd.Function):
    @staticmethod
    def forward(x, alpha):
        return (x >= 0).to(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.alpha = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, dout):
        return spike_slope(dout, ctx.saved_tensors[0], ctx.alpha)


class Spike(nn.Module):
    """The slope that takes the place of the derivative is called a gradient of `x` too."""

    def __init__(self, alpha=0.3):
        super().__init__()
        self.alpha = alpha

    @staticmethod
    def backward(dout, x, alpha):
        return spike_slope(dout, x, alpha)[0]

    def forward(self, x):
        return SpikeFunction.apply(x, self.alpha)


def test_the_slope_of_a_step_is_a_stage_of_its_gradient():
    assert not gradcheck.check_layer(Spike, fix_budget_s=0.0).failures


class Sparse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 3 * x

    @staticmethod
    def backward(ctx, dout):
        return (3 * dout).to_sparse()


def test_a_gradient_may_be_sparse():
    assert "internal error" not in str(gradcheck.check_layer(Sparse, fix_budget_s=0.0))


class SparseOutput(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (3 * x).to_sparse()

    @staticmethod
    def backward(ctx, dout):
        return 3 * dout.to_dense()


def test_an_output_may_be_sparse():
    assert "internal error" not in str(gradcheck.check_layer(SparseOutput, fix_budget_s=0.0))


class Descends:
    """`backward` takes a rate beside the cache, and moves its weights: that compares nothing with an output."""

    def __init__(self, n_in, n_out):
        self.w, self.dw = torch.randn(n_in, n_out), None

    def forward(self, x):
        kept = x
        return x @ self.w, kept

    def backward(self, dl, kept, eta):
        before, self.dw = self.w, eta * (kept.T @ dl)
        self.w = self.w - self.dw
        return dl @ before.T


class Flattens:
    """What arrives is called `x`, as the input of `forward` is, and the cache is not read."""

    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), -1), None

    def backward(self, x, cache):
        return x.reshape(self.shape)


class LogitsLoss:
    """No numbers of 0 to 1, and no batch of several columns."""

    def forward(self, logits, target):
        assert logits.dim() == 1
        assert logits.shape == target.shape
        self.kept = logits, target
        return (logits.clamp(min=0) - logits * target + torch.log1p(torch.exp(-logits.abs()))).mean()

    def backward(self):
        logits, target = self.kept
        return (torch.sigmoid(logits) - target) / len(logits)


def test_what_backward_is_handed_is_told_by_what_it_does_with_it():
    for layer in (Descends, Flattens, LogitsLoss):
        report = gradcheck.check_layer(layer, fix_budget_s=0.0)
        assert not report.failures
        assert report.cases[0].status is Status.PASSED


class ColumnOfOne:
    """For one row, which `forward` takes as a vector and whose gradient `backward` takes as a column."""

    def __init__(self, n_in, n_out):
        self.w, self.dw = torch.randn(n_out, n_in), None

    def forward(self, x):
        self.x = x
        return self.w @ x

    def backward(self, dout):
        self.dw = dout @ self.x.unsqueeze(-2)
        return self.w.T @ dout


class HandsOn:
    def __init__(self, model):
        self.model = model

    def forward(self, predicted, target):
        self.away = predicted - target
        return (self.away**2).sum(1).mean()

    def backward(self):
        return self.model.backward(2 * self.away / len(self.away))


def test_what_never_runs_but_with_a_wrong_shape_was_guessed_wrong():
    for layer in (ColumnOfOne, HandsOn):
        report = gradcheck.check_layer(layer, fix_budget_s=0.0)
        assert not report.failures
        assert {case.status for case in report.cases}.isdisjoint({Status.PASSED, Status.FAILED})
