from __future__ import annotations

import torch


def assert_equal_to_torch(ours: object, theirs: torch.nn.Module) -> None:
    """Compare the outputs and the gradients, of large numbers too, in both floating dtypes."""
    for dtype in (torch.float32, torch.float64):
        points = torch.cat((3 * torch.randn(30), torch.tensor([-90.0, -0.5, 0.0, 0.5, 90.0])))
        x = points.to(dtype).reshape(5, 7).requires_grad_()
        got, expected = ours(x), theirs(x)
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
        weights = torch.randn(5, 7, dtype=dtype)
        torch.testing.assert_close(
            torch.autograd.grad((got * weights).sum(), x)[0],
            torch.autograd.grad((expected * weights).sum(), x)[0],
            rtol=1e-5,
            atol=1e-6,
        )
