"""Custom autograd Functions: what they compute is on the tape, and the person's program runs as it would."""

from __future__ import annotations

import torch

from gradcheck.fronts.tape import Kind
from gradcheck.judge.verdict import Verdict
from tests.support import record_source, report_on_source

CUBE = """
    import torch

    class Cube(torch.autograd.Function):
        told = []

        @staticmethod
        def forward(ctx, x):
            Cube.told.append("forward")
            square = x * x
            ctx.save_for_backward(x, square)
            return square * x

        @staticmethod
        def backward(ctx, grad_output):
            Cube.told.append("backward")
            x, square = ctx.saved_tensors
            return 3 * square * grad_output

    x = torch.linspace(-1, 1, 5).requires_grad_()
"""


def test_backward_is_recorded_once_with_its_lines():
    run = record_source(CUBE + "    y = Cube.apply(x)\n    y.sum().backward()\n")
    assert run.names["Cube"].told == ["forward", "backward"]
    assert torch.equal(run.names["x"].grad, 3 * run.names["x"].detach() ** 2)
    (upstream,) = [op for op in run.ops if op.kind is Kind.UPSTREAM]
    (returned,) = [op for op in run.ops if op.kind is Kind.RETURNED]
    assert upstream.args == (run.bound("y")[0],)
    assert [run.source(op) for op in run.ops if upstream.index < op.index < returned.index] == [
        "3 * square",
        "3 * square * grad_output",
    ]
    assert all(op.index == place for place, op in enumerate(run.ops))


EXP = """
        import torch

        class Exp(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                y = x.exp()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, g):
                (y,) = ctx.saved_tensors
                return g * y

        x = torch.ones(4, requires_grad=True)
        loss = Exp.apply(x).sin().sum()
        loss.backward()
        """


def test_what_was_saved_may_be_read_by_its_old_name():
    report = report_on_source(EXP.replace("saved_tensors", "saved_variables"))
    assert [row.verdict for row in report.rows] == [Verdict.CORRECT]


def test_a_result_that_was_saved_is_known_again_though_it_is_another_tensor():
    run = record_source(EXP)
    assert len(run.bindings("y")) == 2
    assert len(set(run.bound("y"))) == 1


def test_the_gradient_that_follows_from_another_functions_knows_it():
    run = record_source(CUBE + "    y = Cube.apply(Cube.apply(x) + 1)\n    y.sum().backward()\n")
    first, second = [op for op in run.ops if op.kind is Kind.UPSTREAM]
    (returned, _) = [op for op in run.ops if op.kind is Kind.RETURNED]
    assert first.args[1:] == ()
    assert second.args[1:] == ((returned.args[0], returned.args[1]),)


def test_the_gradients_that_a_backward_pass_begins_with_are_known():
    for call in ("y.backward(g)", "torch.autograd.backward(y, g)", "torch.autograd.grad(y, x, g)"):
        run = record_source(CUBE + f"    g = torch.ones(5)\n    y = Cube.apply(x)\n    {call}\n")
        upstream = next(op for op in run.ops if op.kind is Kind.UPSTREAM)
        assert upstream.args[1:] == ((run.bound("y")[0], run.bound("g")[0]),), call


def test_an_error_in_backward_is_the_persons_and_everything_is_put_back():
    plain = torch.autograd.Function.__dict__["apply"], torch.autograd.function.FunctionCtx.save_for_backward
    run = record_source("""
        import torch

        class Fails(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x + 1

            @staticmethod
            def backward(ctx, g):
                raise ValueError("mine")

        x = torch.ones(2, requires_grad=True)
        try:
            Fails.apply(x).sum().backward()
        except ValueError as error:
            told = str(error)
        y = x * 2
        """)
    assert run.names["told"] == "mine"
    assert "mul" in run.op_names()
    now = torch.autograd.Function.__dict__["apply"], torch.autograd.function.FunctionCtx.save_for_backward
    assert now == plain
    assert "saved_tensors" not in vars(torch.autograd.function.BackwardCFunction)


def test_an_argument_that_forward_changes_in_place_is_what_it_was_before():
    run = record_source("""
        import torch

        class Triple(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.mark_dirty(x)
                return x.mul_(3)

            @staticmethod
            def backward(ctx, g):
                return 3 * g

        w = torch.ones(4, requires_grad=True)
        h = w * 2
        Triple.apply(h).sum().backward()
        """)
    (returned,) = [op for op in run.ops if op.kind is Kind.RETURNED]
    assert returned.args[0] is run.bound("h")[0]


def test_what_an_init_function_changes_is_known_though_it_is_handed_over_by_name():
    run = record_source("import torch\nlayer = torch.nn.Linear(3, 2)\n")
    filled = [op for op in run.ops if op.kind is Kind.RANDOM_MUTATE]
    assert filled
    assert all(op.mutated for op in filled)


def test_torchs_own_test_of_a_function_is_no_step_of_the_program():
    run = record_source(
        CUBE
        + """
    from torch.autograd import gradcheck

    right = gradcheck(Cube.apply, x.detach().double().requires_grad_())
    begin = len(Cube.told)
    Cube.apply(x).sum().backward()
"""
    )
    assert run.names["right"]
    assert run.names["begin"] > 10
    assert sum(op.kind is Kind.RETURNED for op in run.ops) == 1
