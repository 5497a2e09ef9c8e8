from __future__ import annotations

import gguf
import numpy as np
import pytest

from caten_sd.blocks.block_types import block_type
from caten_sd.errors import CatenError
from caten_sd.state.leaf import dequantize


@pytest.mark.parametrize("name", ["q8_1", "q8_k"])
def test_a_type_that_is_only_copied_says_so(name: str) -> None:
    raw = np.zeros((1, block_type(name).size), np.uint8)
    with pytest.raises(CatenError, match=f"^{name} blocks can be copied packed .*dequantize.reg"):
        dequantize(block_type(name), raw)


@pytest.mark.parametrize("name", ["q8_1", "q8_k"])
def test_gguf_py_unpacks_none_of_them_either(name: str) -> None:
    kind = gguf.GGMLQuantizationType[name.upper()]
    with pytest.raises(NotImplementedError):
        gguf.dequantize(np.zeros((1, block_type(name).size), np.uint8), kind)
