"""Modules that call a Function: autograd asks it for the gradients of the module's inputs as well."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import gradcheck
from gradcheck.layers.records import Status


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return 0.5 * g * w, (g * x).sum(0)  # wrong


class Shuffle(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, groups):
        n, c, length = x.shape
        ctx.groups = groups
        return x.view(n, groups, c // groups, length).transpose(1, 2).reshape(n, c, length)

    @staticmethod
    def backward(ctx, g):
        n, c, length = g.shape
        # Wrong, and hidden by as many groups as there are channels in each.
        return g.view(n, ctx.groups, c // ctx.groups, length).transpose(1, 2).reshape(n, c, length), None


class Scaled(nn.Module):
    def __init__(self, n=4):
        super().__init__()
        self.w = nn.Parameter(torch.ones(n))

    def forward(self, x):
        return Scale.apply(x, self.w)


class Shuffled(nn.Module):
    def __init__(self, channels=6, num_groups=2):
        super().__init__()
        self.num_groups = num_groups
        self.w = nn.Parameter(torch.ones(channels, 1))

    def forward(self, x):
        return Shuffle.apply(x * self.w, self.num_groups)


@pytest.mark.parametrize("module", [Scaled, Shuffled])
def test_a_wrong_gradient_of_an_input_is_found(module):
    report = gradcheck.check_layer(module, fix_budget_s=0.0)
    assert report.failures, str(report)
    assert "is not the gradient of" in str(report)


class WithMask(torch.autograd.Function):
    """Its second output has a name that a gradient could have."""

    @staticmethod
    def forward(ctx, x):
        mask = (x > 0).to(x.dtype)
        ctx.mark_non_differentiable(mask)
        ctx.save_for_backward(mask)
        return x * mask, mask

    @staticmethod
    def backward(ctx, grad_out, grad_mask):
        (mask,) = ctx.saved_tensors
        return grad_out * mask


def test_what_arrives_for_an_output_that_is_not_differentiable_is_nobodys_gradient():
    report = gradcheck.check_layer(WithMask, fix_budget_s=0.0)
    assert report.exit_status == 0, str(report)


class SignedRoot(torch.autograd.Function):
    """A step beside a smooth path does not excuse what is wrong of the smooth one."""

    @staticmethod
    def forward(ctx, x):
        r = torch.sqrt(x.abs() + 0.01)
        ctx.save_for_backward(r)
        return torch.sign(x) * r

    @staticmethod
    def backward(ctx, g):
        (r,) = ctx.saved_tensors
        return g * -0.5 / r  # wrong


class Fraction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        f = x - torch.floor(x)
        ctx.save_for_backward(f)
        return f * f

    @staticmethod
    def backward(ctx, g):
        (f,) = ctx.saved_tensors
        return g * f  # wrong


@pytest.mark.parametrize("function", [SignedRoot, Fraction])
def test_a_step_on_the_way_is_no_excuse(function):
    report = gradcheck.check_layer(function, fix_budget_s=0.0)
    assert report.failures, str(report)


class HingeOf(torch.autograd.Function):
    """Its backward pass gives nothing for what it compares with."""

    @staticmethod
    def forward(ctx, score, wanted):
        gap = (1 - score * wanted).clamp(min=0)
        ctx.save_for_backward(gap, wanted)
        return (gap * gap).sum(-1)

    @staticmethod
    def backward(ctx, up):
        gap, wanted = ctx.saved_variables
        return -2 * up.unsqueeze(-1) * gap * wanted, None


class Hinge(nn.Module):
    def forward(self, score, wanted):
        return HingeOf.apply(score, wanted)


class Aligned(torch.autograd.Function):
    """Random weights of its own carry the error back."""

    @staticmethod
    def forward(ctx, x, w, back):
        ctx.save_for_backward(x, back)
        return x.mm(w.t())

    @staticmethod
    def backward(ctx, up):
        x, back = ctx.saved_tensors
        return up.mm(back), up.t().mm(x), None


class AlignedHalf(Aligned):
    @staticmethod
    def backward(ctx, up):
        x, back = ctx.saved_tensors
        return up.mm(back), 0.5 * up.t().mm(x), None


class AlignedLayer(nn.Module):
    def __init__(self, ins=3, outs=4):
        super().__init__()
        self.w = nn.Parameter(torch.randn(outs, ins))
        self.register_buffer("back", torch.randn(outs, ins))

    def forward(self, x):
        return Aligned.apply(x, self.w, self.back)


class Turned(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength=1.0):
        ctx.strength = strength
        return x * 1.0

    @staticmethod
    def backward(ctx, up):
        return -ctx.strength * up, None


class Spike(torch.autograd.Function):
    """`slope` is a function, which `forward` only keeps: a number that is tried for it is no fault of `backward`."""

    @staticmethod
    def forward(ctx, potential, slope):
        ctx.save_for_backward(potential)
        ctx.slope = slope
        return (potential > 0).float()

    @staticmethod
    def backward(ctx, up):
        (potential,) = ctx.saved_tensors
        return ctx.slope(potential) * up, None


class Fired(torch.autograd.Function):
    @staticmethod
    def forward(ctx, potential):
        ctx.save_for_backward(potential)
        return (potential > 0).float()

    @staticmethod
    def backward(ctx, up):
        (potential,) = ctx.saved_tensors
        return up / (1 + potential.abs()) ** 2


class Coarse(torch.autograd.Function):
    """Its gradient is quantised."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, up):
        d_x = up * ctx.saved_tensors[0].cos()
        step = d_x.abs().max() / 7
        return d_x.div_(step).round_().mul_(step)


_REPLACED = "`back`, which is handed to the forward pass"


def _slope(x, word):
    if word == "plain":
        slope = 1 - x.tanh() ** 2
    return slope


class Mixed(torch.autograd.Function):
    """What is wanted for `how` is a word, which only the backward pass reads."""

    @staticmethod
    def forward(ctx, x, how):
        ctx.save_for_backward(x)
        ctx.how = how
        return x.tanh()

    @staticmethod
    def backward(ctx, up):
        (x,) = ctx.saved_tensors
        return up * _slope(x, ctx.how), None


class Forgets(torch.autograd.Function):
    """Saves only for who wants a gradient; and asks for what was never kept."""

    @staticmethod
    def forward(ctx, x, alpha):
        if x.requires_grad:
            ctx.save_for_backward(x)
            ctx.alpha = alpha
        return (x > 0).float()

    @staticmethod
    def backward(ctx, up):
        near = ctx.saved_tensors[0].abs() < 1
        return up * near * ctx.beta, None


def test_what_was_never_kept_is_missed_where_it_is_read():
    report = gradcheck.check_layer(Forgets, ranks=(2,), fix_budget_s=0.0)
    assert [failure.raised.text for failure in report.failures] == [
        "AttributeError: 'ctx' object has no attribute 'beta'"
    ]


def _slope_times(up, v, leak):
    grad_v = torch.ones_like(up)
    grad_v[v > 1] = 1 / v[v > 1]
    grad_v[v <= 0] = leak
    return up * grad_v, None


class Staged(torch.autograd.Function):
    """What takes the place of the derivative has the name of a gradient, before it is multiplied by what arrives."""

    @staticmethod
    def forward(ctx, v, leak):
        ctx.save_for_backward(v)
        ctx.leak = leak
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, up):
        return _slope_times(up, *ctx.saved_tensors, ctx.leak)


class Powered(torch.autograd.Function):
    """What `alpha` has to be so that the powers are numbers, nothing says."""

    @staticmethod
    def forward(x, alpha):
        return (x > 0).to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.alpha = inputs[1]

    @staticmethod
    def backward(ctx, up):
        grad_x = up * (1 + ctx.saved_tensors[0].abs() / (ctx.alpha - 1)) ** -ctx.alpha
        return grad_x, None


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (HingeOf, ""),
        (Hinge, ""),
        (Aligned, _REPLACED),
        (AlignedLayer, _REPLACED),
        (Turned, "hands on what it is given"),
        (Spike, "give its inputs"),
        (Mixed, "give its inputs"),
        (Fired, "a step function"),
        (Coarse, "quantised on purpose"),
        (Staged, "a step function"),
        (Powered, "give its inputs"),
    ],
)
def test_what_is_on_purpose_or_was_guessed_is_not_accused(layer, why):
    report = gradcheck.check_layer(layer, ranks=(2,), fix_budget_s=0.0)
    assert not report.failures, str(report)
    assert any(why in (case.reason or "") for case in report.cases), str(report)


def test_beside_what_replaces_a_gradient_the_others_are_judged():
    report = gradcheck.check_layer(AlignedHalf, ranks=(2,), fix_budget_s=0.0)
    assert len(report.failures) == 1, str(report)
    assert "`w`" in str(report.failures[0].report.findings[0].message)


class Strided(torch.autograd.Function):
    """What is only ever None is given for what has no gradient, whatever it is called."""

    @staticmethod
    def forward(ctx, x, stride):
        ctx.save_for_backward(x)
        ctx.stride = stride
        return x[..., : x.shape[-1] // stride * stride] ** 2

    @staticmethod
    def backward(ctx, up):
        (x,) = ctx.saved_tensors
        dx, dstride = None, None
        dx = torch.zeros_like(x)
        dx[..., : up.shape[-1]] = 2 * x[..., : up.shape[-1]] * up
        return dx, dstride


def test_a_name_that_is_only_ever_none_is_no_gradient():
    report = gradcheck.check_layer(Strided, ranks=(2,), fix_budget_s=0.0)
    assert report.exit_status == 0, str(report)


def attend_forward(q, k, v):
    p = torch.softmax(q @ k.transpose(-1, -2), -1)
    return p @ v, p


def attend_backward(q, k, v, p, do):
    """`do` is the gradient of the output, and `p` what `forward` returns beside it."""
    dv = p.transpose(-1, -2) @ do
    dp = do @ v.transpose(-1, -2)
    ds = p * (dp - (dp * p).sum(-1, keepdim=True))
    return ds @ k, ds.transpose(-1, -2) @ q, dv


def attend_seeded_backward(q, k, v, p, first):
    return attend_backward(q, k, v, p, first)


def squash_forward(x, min_val, max_val):
    return x.clamp(min_val, max_val)


def squash_backward(dout, x, min_val, max_val):
    return dout * ((x > min_val) & (x < max_val))


@pytest.mark.parametrize(
    "pair",
    [
        (attend_forward, attend_backward),
        (attend_forward, attend_seeded_backward),
        (squash_forward, squash_backward),
    ],
)
def test_what_backward_is_handed_is_told_apart(pair):
    report = gradcheck.check_layer(pair, ranks=(2,), fix_budget_s=0.0)
    assert report.exit_status == 0, str(report)
    assert "unobservable" not in str(report)


class OldStyle(torch.autograd.Function):
    def __init__(self, margin=1.0):
        self.margin = margin

    def forward(self, x):
        return (x - self.margin).clamp(min=0)

    def backward(self, up):
        return up


def test_a_function_of_the_first_versions_of_torch_is_named_so():
    with pytest.raises(TypeError, match="`OldStyle` has a constructor"):
        gradcheck.check_layer(OldStyle)


class Needless(torch.autograd.Function):
    def __init__(self):
        super().__init__()

    @staticmethod
    def forward(ctx, x):
        return x.to(torch.complex128) * (1 + 2j)

    @staticmethod
    def backward(ctx, up):
        return (up * (1 - 2j)).real


def test_a_constructor_that_nobody_calls_is_no_obstacle_nor_are_complex_results():
    report = gradcheck.check_layer(Needless, ranks=(2,))
    assert {case.status for case in report.cases} == {Status.PASSED, Status.NOT_TRIED}, str(report)


class Picked(torch.autograd.Function):
    """Its words are those that it asks for, and each is a case."""

    @staticmethod
    def forward(ctx, logits, labels, reduction):
        p = torch.softmax(logits, 1)
        ctx.save_for_backward(p, labels)
        ctx.reduction = reduction
        loss = -p.gather(1, labels.unsqueeze(1)).squeeze(1).log()
        return loss.mean() if reduction == "mean" else loss.sum()

    @staticmethod
    def backward(ctx, up):
        p, labels = ctx.saved_tensors
        g = p - torch.nn.functional.one_hot(labels, p.shape[1])
        if ctx.reduction == "mean":
            g = up * g / len(p)
        elif ctx.reduction == "sum":
            g = 2 * up * g  # wrong
        return g, None, None


def test_each_word_that_an_argument_is_compared_with_is_a_case():
    report = gradcheck.check_layer(Picked, ranks=(2,), fix_budget_s=0.0)
    assert [failure.report.findings[0].location.line for failure in report.failures if failure.report] == [
        next(
            n
            for n, line in enumerate(Path(__file__).read_text().split("\n"), 1)
            if "2 * up * g  # wrong" in line
        )
    ]
    assert {case.name for case in report.cases if case.status.value == "failed"} == {"reduction='sum'"}


class Focal(torch.autograd.Function):
    """What it compares with gets no gradient, and is an array all the same."""

    @staticmethod
    def forward(ctx, logits, label):
        p = torch.sigmoid(logits)
        ctx.kept = p, label
        return (label - p) ** 2

    @staticmethod
    def backward(ctx, up):
        p, label = ctx.kept
        slope = label.mul(-2.0).add_(2 * p)
        return slope * p * (1 - p) * up, None


def test_what_is_compared_with_is_an_array():
    report = gradcheck.check_layer(Focal, ranks=(2,), fix_budget_s=0.0)
    assert report.exit_status == 0, str(report)


class Weighed(torch.autograd.Function):
    """Weights that are all the same hide that they are left out."""

    @staticmethod
    def forward(ctx, logits, prior):
        w = torch.tensor(prior).view(1, -1)
        ctx.save_for_backward(logits)
        return (w * logits.exp()).sum(1).log()

    @staticmethod
    def backward(ctx, up):
        (logits,) = ctx.saved_tensors
        return up[:, None] * logits.softmax(1), None  # wrong


def test_of_what_an_array_is_made_the_numbers_differ():
    report = gradcheck.check_layer(Weighed, ranks=(2,), fix_budget_s=0.0)
    assert report.exit_status == 1, str(report)
