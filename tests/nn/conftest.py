from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from caten_sd import nn
from caten_sd.objects.extract import get_state_dict


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    torch.manual_seed(0)


@pytest.fixture
def agree() -> Callable[..., None]:
    """Compare a module of ours with torch's: same weights, then outputs and gradients to 1e-6."""

    def check(ours: nn.Module, theirs: torch.nn.Module, *inputs: torch.Tensor) -> None:
        pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
        for mine, other in pairs:
            with torch.no_grad():
                mine.copy_(other)
        got, expected = ours(*inputs), theirs(*inputs)
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
        weights = torch.randn_like(expected)
        (got * weights).sum().backward()
        (expected * weights).sum().backward()
        for mine, other in pairs:
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-5, atol=1e-5)

    return check


@pytest.fixture
def keys_of() -> Callable[[object], list[str]]:
    """Return the keys of a model."""
    return lambda model: list(get_state_dict(model))
