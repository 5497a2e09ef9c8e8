from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest

from caten_sd.encodings.npy import numpy_lacks
from caten_sd.errors import FormatError
from caten_sd.files.sidecar import EMPTY, parse_sidecar, sidecar_of
from caten_sd.state.backing import BytesBacking
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import spec
from caten_sd.state.source import Source
from caten_sd.state.state_dict import StateDict


def raw(count: int, width: int = 1) -> LazyTensor:
    source = Source("w", BytesBacking(bytes(count * width)), 0, count * width)
    return LazyTensor(source, 0, DType(f"unknown {width}-byte", "unknown", 8 * width), (count,))


def test_only_what_the_container_lacks_is_recorded() -> None:
    w, f4 = np.ones((3, 5), ml_dtypes.bfloat16), np.ones((3, 5), ml_dtypes.float4_e2m1fn)
    given = StateDict({"w": w, "f4": f4, "v": np.ones(2), "t": w}, metadata={"a": range(2)})
    specs = {key: spec(given[key]) for key in ("w", "f4", "v")}
    record = sidecar_of(given, specs, numpy_lacks)
    assert json.loads(record.to_json()) == {
        "dtypes": {"w": "bfloat16", "f4": "float4_e2m1fn"},
        "shapes": {"f4": [3, 5]},
        "ties": {"t": "w"},
        "metadata": {"a": [0, 1]},
        "version": 1,
    }

    assert parse_sidecar(record.to_json(), "x") == record._replace(metadata={"a": [0, 1]})
    assert not sidecar_of(StateDict({"v": np.ones(2)}), {"v": spec(np.ones(2))}, numpy_lacks)


def test_raw_bytes_become_what_the_record_says() -> None:
    record = EMPTY._replace(dtypes={"w": "bfloat16", "p": "float4_e2m1fn"}, shapes={"p": [3, 3]})
    assert record.typed("w", raw(6, 2)).dtype == DTYPES["bfloat16"]
    assert record.typed("p", raw(5)).shape == (3, 3)
    plain = LazyTensor(raw(4).source, 0, DTYPES["uint8"], (4,))
    assert record.typed("other", plain) is plain
    for wrong in (raw(6), raw(3, 4), plain):
        with pytest.raises(FormatError, match=r"its caten_sd record is damaged: 'w' is .*, not"):
            record.typed("w", wrong)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(FormatError, match="not the JSON"):
        parse_sidecar(b"[" * 100_000, "x")


@pytest.mark.parametrize("version", [2, 10**30])
def test_a_newer_record_is_refused_by_its_version(version: int) -> None:
    with pytest.raises(FormatError, match=f"version {version}.* up to 1; .* newer caten_sd"):
        parse_sidecar(json.dumps({"version": version, "news": 1}).encode(), "w.npz")
