"""Whatever the tensors of a packed weight are, floats come of them, or an error of ours."""

from __future__ import annotations

import contextlib
import pkgutil
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.blocks import schemes
from caten_sd.blocks.packing_schemes import methods, packing_schemes
from caten_sd.blocks.unpacked_weights import quantization_notes, to_floats
from caten_sd.errors import CatenError
from caten_sd.state.state_dict import StateDict
from tests.blocks.schemes import (
    test_awq,
    test_bitsandbytes4,
    test_compressed_integers,
    test_gptq,
    test_hqq,
    test_mlx_affine,
    test_mxfp4,
    test_nvfp4,
)
from tests.properties import examples

SOUND: list[dict[str, Any]] = [
    test_gptq.packed(4)[0],
    test_gptq.packed(3)[0],
    test_awq.packed()[0],
    test_bitsandbytes4.packed(nested=True)[0],
    test_bitsandbytes4.packed(nested=False)[0],
    dict(test_mlx_affine.packed(4, 32)[0]),
    {"w": np.ones((256, 384), ml_dtypes.float8_e4m3fn), "w_scale_inv": np.ones((2, 3), "f4")},
    {"fc.weight": np.ones((4, 6), "i1"), "fc.SCB": np.ones(4, "f4")},
    {"fc.weight._data": np.ones((4, 6), "i1"), "fc.weight._scale": np.ones((4, 1), "f4")},
    {
        "fc.weight": np.ones((6, 8), "i1"),
        "fc.weight_scale": np.ones((6, 1), "f4"),
        "fc.weight_zero_point": np.ones((6, 1), "i1"),
    },
    {"fc.weight": np.ones((3, 6, 8), "u4"), "fc.scales": np.ones((3, 6, 2), "u1")},
    {"w": np.ones((6, 64), ml_dtypes.float8_e4m3fn), "w_scale": np.ones((6, 2), "u1")},
    test_compressed_integers.packed(4, groups=2, zeros=True)[0],
    test_compressed_integers.packed(3, groups=1)[0],
    test_hqq.packed("4bit_u8", axis=1)[0],
    test_hqq.packed("3bit_32", axis=0)[0],
    test_mxfp4.packed("experts.up_blocks", "experts.up_scales", (3, 5, 2))[0],
    test_mxfp4.packed("fc.weight_packed", "fc.weight_scale", (5, 2))[0],
    test_nvfp4.packed("weight", "weight_scale_2")[0],
    test_nvfp4.packed("weight_packed", "weight_global_scale")[0],
]
DTYPES = ["i1", "u1", "u4", "i8", "f2", "f4", "?", "c8", ml_dtypes.float8_e4m3fn]
DAMAGE = {
    "gone": lambda leaf: None,
    "shorter": lambda leaf: np.atleast_1d(leaf)[: np.atleast_1d(leaf).shape[0] // 2],
    "flat": lambda leaf: leaf.reshape(-1),
    "turned": lambda leaf: leaf.T,
    "empty": lambda leaf: np.atleast_1d(leaf)[:0],
    "scalar": lambda leaf: np.array(leaf.reshape(-1)[0]),
    "longer": lambda leaf: np.concatenate([np.atleast_1d(leaf)] * 2),
}
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "bits": st.sampled_from([2, 4, 8, True, "4", -1, 1 << 70]),
        "group_size": st.sampled_from([-1, 0, 16, 32, 128, 1 << 70]),
        "weight_block_size": st.sampled_from([[128, 128], [0, 0], [-1], "x", [1 << 70, 1]]),
        "quant_method": st.sampled_from(["awq", "gptq", "fp8", "mine", 3]),
    },
)


def test_every_scheme_is_found_with_the_name_that_config_json_has() -> None:
    own = {
        "awq",
        "bitsandbytes",
        "compressed-tensors",
        "fp8",
        "gptq",
        "hqq",
        "mlx",
        "mxfp4",
        "nvfp4",
        "quanto",
    }
    assert {scheme.method for scheme in packing_schemes()} == own
    assert methods() == {*own, "fbgemm_fp8", "modelopt", "quark"}
    files = list(pkgutil.iter_modules(schemes.__path__))
    assert len(packing_schemes()) == len(files)


@settings(max_examples=examples(150))
@given(st.sampled_from(SOUND), st.data(), CONFIGS)
def test_damaged_tensors_become_floats_or_an_error_of_ours(
    sound: dict[str, Any], data: st.DataObject, stated: dict[str, Any]
) -> None:
    tensors = dict(sound)
    key = data.draw(st.sampled_from(sorted(tensors)))
    how = data.draw(st.sampled_from([*DAMAGE, *DTYPES]))
    leaf = tensors.pop(key)
    with np.errstate(all="ignore"):
        damaged = DAMAGE[how](leaf) if how in DAMAGE else leaf.astype(how)
    if damaged is not None:
        tensors[key] = damaged
    state = StateDict(tensors, config={"quantization_config": stated})
    quantization_notes(state)
    with contextlib.suppress(CatenError):
        for each in to_floats(state).values():
            values = np.asarray(each)
            assert values.shape == tuple(each.shape)
            if each.shape and each.shape[0] > 2 and hasattr(each, "scheme"):
                assert np.array_equal(each[1:-1].numpy(), values[1:-1], equal_nan=True)
