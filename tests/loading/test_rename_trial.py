"""A renaming that is not to be pasted has its true reason next to it."""

from __future__ import annotations

import pytest
import torch

from caten_sd.loading.load import plan_load


def of(keys: list[str]) -> dict[str, torch.Tensor]:
    return {f"{key}.w": torch.zeros(3) for key in keys}


@pytest.mark.parametrize(
    ("model", "file", "reason"),
    [
        (
            ["fc2", "attn.fc1"],
            ["fc3", "attn.fc2"],
            ["fc3.w would", "to attn.fc1.w", "attn.fc2.w to fc2.w", "the other way round"],
        ),
        (
            ["mlp", "attn", "mlp.attn", "model"],
            ["model", "attn", "model.attn"],
            ["model.w would then lose the key of its own name and shape"],
        ),
        (["a.b", "a.c", "e.1"], ["b", "c", "x"], ["other names or shapes differ, too"]),
    ],
    ids=["two keys pass each other", "a slot loses its key", "names are left"],
)
def test_why_a_renaming_is_not_printed_as_a_fix(
    model: list[str], file: list[str], reason: list[str]
) -> None:
    plan = plan_load(of(model), of(file))
    assert not plan.fix
    for words in reason:
        assert words in plan.cause
    assert ("differ, too" in plan.cause) == ("differ, too" in reason[0])
