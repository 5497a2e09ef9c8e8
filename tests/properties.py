"""How much of a long table or a property is tried by default; .ci/run tries all of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is not a failure, nor is a seed of which many values are left out.
_CALM = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
settings.register_profile("all", _CALM, max_examples=100)
settings.register_profile("quarter", _CALM, max_examples=25)


def examples(count: int) -> int:
    """Return how many of a property's examples are tried under the profile of this run."""
    return max(count * settings().max_examples // 100, 1)


def sampled(cases: Iterable[Any], step: int) -> list[Any]:
    """Return the cases of a table, of which all but one in ``step`` are slow tests."""
    return [
        case if number % step == 0 else pytest.param(case, marks=pytest.mark.slow)
        for number, case in enumerate(cases)
    ]
