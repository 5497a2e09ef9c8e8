"""Holders of arrays over four devices: sharding stays, and each device's part alone is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import load_state_dict, read_state_dict, with_state, write_state_dict

pytest.importorskip("flax", reason="Flax is not installed: pip install 'caten-sd[flax]'")

from flax import nnx
from flax.core import meta

from tests.adapters.flax.test_nnx_slots import numbers
from tests.adapters.jax.devices import divided, jax
from tests.adapters.jax.test_new_arrays import reads_of

jnp = jax.numpy
SHAPE = (64, 32)


@pytest.mark.parametrize("verb", [load_state_dict, with_state])
@pytest.mark.parametrize("abstract", [False, True])
@pytest.mark.parametrize("make", [
    lambda x: nnx.Dict(w=nnx.Param(x)),
    lambda x: nnx.State({"w": nnx.Param(x)}),
    lambda x: {"w": meta.Partitioned(x, ("a", "b"))},
])  # fmt: skip
def test_each_device_reads_its_own_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any, abstract: bool, verb: Any
) -> None:
    where = divided("a", "b")
    values = np.arange(64 * 32, dtype=np.float32).reshape(SHAPE)
    write_state_dict({"w": values}, tmp_path / "w.safetensors")
    place = jax.ShapeDtypeStruct(SHAPE, "float32", sharding=where)
    old = make(place if abstract else jax.device_put(jnp.zeros(SHAPE), where))
    sizes = reads_of(monkeypatch)
    with read_state_dict(tmp_path / "w.safetensors") as file:
        sizes.clear()
        new = verb(old, file, strict=True)
    loaded = new["w"].get_value() if isinstance(new["w"], nnx.Variable) else new["w"].value
    assert loaded.sharding == where
    assert numbers(new) == {"w": values.tolist()}
    sizes = [size for size in sizes if size < values.nbytes]  # all of it is mapped, and not read
    assert len(sizes) == 4
    assert max(sizes) <= 4 * (32 * 31 + 16)  # from the first byte of a quarter to its last one
