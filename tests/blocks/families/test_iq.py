from __future__ import annotations

import pytest

from .oracle import assert_unpacks, random_blocks, special_blocks

NAMES = ("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq4_nl", "iq4_xs")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rows", "blocks"), [(1, 1), (3, 5), (40, 8)])
def test_random_blocks_unpack_bit_equal_to_gguf_py(name: str, rows: int, blocks: int) -> None:
    assert_unpacks(name, random_blocks(name, rows, blocks))


@pytest.mark.parametrize("name", NAMES)
def test_zero_infinite_and_nan_scales_unpack_as_in_gguf_py(name: str) -> None:
    assert_unpacks(name, special_blocks(name))
