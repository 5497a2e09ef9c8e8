"""The number that a GGUF has for what most of its tensors are: ``general.file_type``.

llama.cpp shows it, and names such a file after it ("Q4_K - Medium"); it reads each tensor by its
own type. The numbers are those of LlamaFileType in gguf-py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from caten_sd.state.leaf import Spec

FILE_TYPE = "general.file_type"

# The numbers of a type; of a mixture, the type that most of it is. The first is the plain one.
_NUMBERS: dict[str, tuple[int, ...]] = {
    "float32": (0,),
    "float16": (1,),
    "bfloat16": (32,),
    "q4_0": (2,),
    "q4_1": (3,),
    "q8_0": (7,),
    "q5_0": (8,),
    "q5_1": (9,),
    "q2_k": (10, 21),
    "q3_k": (11, 12, 13),
    "q4_k": (14, 15),
    "q5_k": (16, 17),
    "q6_k": (18,),
    "iq2_xxs": (19,),
    "iq2_xs": (20,),
    "iq3_xxs": (23, 22),
    "iq1_s": (24,),
    "iq4_nl": (25,),
    "iq3_s": (26, 27),
    "iq2_s": (28, 29),
    "iq4_xs": (30,),
    "iq1_m": (31,),
    "tq1_0": (36,),
    "tq2_0": (37,),
    "mxfp4": (38,),
    "nvfp4": (39,),
    "q1_0": (40,),
    "q2_0": (41,),
}
_FLOATS = ("float32", "float16", "bfloat16")
_TYPES = {number: name for name, numbers in _NUMBERS.items() for number in numbers}


def file_type(tensors: Mapping[str, Spec]) -> int | None:
    """Return the number for the type of most parameters, or None if there is none for it.

    Vectors do not count, which stay floats in a quantized model.
    """
    most = _most(tensors)
    return _NUMBERS[most][0] if most in _NUMBERS else None


def true_file_type(tensors: Mapping[str, Spec], said: Any) -> Any:
    """Return the number that a file says, or another if it has no tensor of that type."""
    name = _TYPES.get(said) if isinstance(said, int) else None
    types = {_name(known) for known in tensors.values() if len(known.shape) > 1}
    if name is None or (name in types and (name not in _FLOATS or name == _most(tensors))):
        return said
    found = file_type(tensors)
    return said if found is None else found


def _most(tensors: Mapping[str, Spec]) -> str:
    counts: Counter[str] = Counter()
    for known in tensors.values():
        counts[_name(known)] += math.prod(known.shape) if len(known.shape) > 1 else 0
    return counts.most_common(1)[0][0] if counts else ""


def _name(known: Spec) -> str:
    return known.dtype.name.lower()
