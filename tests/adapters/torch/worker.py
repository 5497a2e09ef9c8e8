"""The functions that the tests of distributed models run in every process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.adapters.torch import loading_worker, refusing_worker, saving_worker

FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: function
    for module in (loading_worker, saving_worker, refusing_worker)
    for name, function in vars(module).items()
    if getattr(function, "__module__", "") == module.__name__
}
TORCH_WARNINGS = ["FSDP is switching to", "The `NO_SHARD` sharding", "FSDP2-wrapped module .* view"]
