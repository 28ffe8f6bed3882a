"""What a program switches on for the whole process ends with it."""

from __future__ import annotations

import torch

from gradcheck.program.torch_settings import kept_torch_settings
from tests.support import report_on_source, torch_settings_kept


def test_settings_are_as_they_were_before():
    modes = torch._C._len_torch_function_stack()
    with torch_settings_kept():
        with kept_torch_settings():
            torch.set_grad_enabled(False)
            torch.set_default_dtype(torch.float64)
            torch.set_default_device("meta")
            torch.use_deterministic_algorithms(True)
            torch.autograd.set_detect_anomaly(True)
        assert torch.is_grad_enabled()
        assert torch.get_default_dtype() is torch.float32
        assert torch.empty(0).device == torch.device("cpu")
        assert not torch.are_deterministic_algorithms_enabled()
        assert not torch.is_anomaly_enabled()
        assert torch._C._len_torch_function_stack() == modes


def test_a_loss_of_one_row_is_differentiated_although_the_program_switched_autograd_off():
    report = report_on_source("""
        import torch
        torch.set_grad_enabled(False)
        w, x = torch.randn(3, 1), torch.randn(1, 3)
        out = x @ w
        loss = (out - 2) ** 2
        dout = 2 * (out - 2)
        dw = x.T @ dout
    """)
    (judged,) = report.passes
    assert [row.verdict.value for row in judged.gradients] == ["correct", "correct"]
