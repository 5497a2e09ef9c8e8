"""Each unit of packed tensors has the name of its float, and a role for each of its keys."""

from __future__ import annotations

import pytest

from caten_sd.state.packed_names import plain_name, role_of
from caten_sd.state.packed_weights import packed_groups
from tests.state.test_packed_weights import UNITS


@pytest.mark.parametrize("name", UNITS)
def test_every_key_of_a_unit_has_a_role_of_its_own(name: str) -> None:
    ((weight, others),) = packed_groups(UNITS[name]).items()
    roles = [role_of(key, plain_name(weight)) for key in (weight, *others)]
    assert None not in roles
    assert len(set(roles)) == len(UNITS[name])
