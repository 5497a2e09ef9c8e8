"""What is a leaf, and what is not."""

from __future__ import annotations

import pytest

from caten_sd import CatenError
from caten_sd.extend import as_array, spec
from caten_sd.state.leaf import Numpy, Opaque


def test_an_opaque_value_is_not_a_leaf() -> None:
    value = Opaque("os.system", ("rm",))
    assert repr(value) == "Opaque(os.system)"
    with pytest.raises(CatenError, match="no method of spec takes"):
        spec(value)
    with pytest.raises(CatenError, match="no method of as_array takes"):
        as_array(Numpy(), value)
