"""JAX with four devices in this process, for the tests; they are skipped without JAX."""

from __future__ import annotations

from typing import Any

import pytest

jax: Any = pytest.importorskip("jax", reason="JAX is not installed: pip install 'caten-sd[jax]'")
jax.config.update("jax_num_cpu_devices", 4)  # before the first array


def divided(*axes: str | None) -> Any:
    """Return a sharding of arrays over a mesh of 2 x 2 devices, by the names "a" and "b"."""
    kinds = (jax.sharding.AxisType.Auto,) * 2
    mesh = jax.make_mesh((2, 2), ("a", "b"), axis_types=kinds)
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
