"""The checkpoints in tests/data/orbax: what is in them, and how Orbax and TensorStore wrote them.

    python -m tests.formats.orbax.checkpoints_made tests/data/orbax

writes them anew, with flax, orbax-checkpoint 0.12.8 and tensorstore 0.1.86. Each is a zip file.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

PLAIN: dict[str, Any] = {
    "params.Dense_0.kernel": np.arange(12, dtype="f4").reshape(3, 4),
    "params.Dense_0.bias": np.arange(4).astype(ml_dtypes.bfloat16),
    "params.odd.name/x": np.arange(3, dtype="i4"),
    "layers.0": np.zeros(2, "f4"),
    "layers.1": np.ones((2, 2), "f2"),
    "numpy": np.arange(4, dtype="i2"),
    "scale": np.array(1.5),
    "step": np.array(3),
}
SHARDED = {
    "w": np.arange(8 * 6, dtype="f4").reshape(8, 6),
    "b": np.arange(8, dtype="f4"),
    "zeros": np.zeros((8, 2), "f4"),
}
MANY = {f"layer_{n:02}.w": np.arange(n, n + 6, dtype="f4").reshape(2, 3) for n in range(24)}
NNX = {"a.bias": np.arange(3, dtype="f4"), "a.kernel": np.arange(6, dtype="f4").reshape(2, 3)}


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays as a tree; the odd name is one part of its path."""
    tree: dict[str, Any] = {}
    for key, array in flat.items():
        odd = key.partition("odd.name/x")
        parts = [*odd[0].rstrip(".").split("."), odd[1]] if odd[1] else key.split(".")
        node = tree
        for part in parts[:-1]:
            node = node.setdefault(part, {})
        node[parts[-1]] = array
    return tree


def _plain_tree() -> dict[str, Any]:
    import jax.numpy as jnp

    tree = nested(PLAIN)
    tree["params"] = {
        "Dense_0": {name: jnp.array(a) for name, a in tree["params"]["Dense_0"].items()},
        "odd.name/x": jnp.array(tree["params"]["odd.name/x"]),
    }
    tree["layers"] = [jnp.array(tree["layers"]["0"]), jnp.array(tree["layers"]["1"])]
    return {**tree, "step": 3, "scale": 1.5, "none": None, "empty": {}, "text": "some text"}


def _pytree(path: Path, **options: Any) -> None:
    import orbax.checkpoint as ocp

    ocp.Checkpointer(ocp.PyTreeCheckpointHandler(**options)).save(path, _plain_tree())


def _manager(path: Path) -> None:
    import orbax.checkpoint as ocp

    with ocp.CheckpointManager(path) as manager:
        for step in (9, 10):
            tree = {"w": np.full((2, 3), step, "f4"), "step": step}
            manager.save(step, args=ocp.args.StandardSave(tree))


def _composite(path: Path) -> None:
    import orbax.checkpoint as ocp

    arguments = ocp.args.Composite(
        params=ocp.args.StandardSave(nested({"net.w": np.ones((2, 3), "f4")})),
        opt_state=ocp.args.StandardSave({"0": {"mu": {"net": {"w": np.zeros((2, 3), "f4")}}}}),
        about=ocp.args.JsonSave({"name": "a model", "size": 3}),
    )
    with ocp.CheckpointManager(path) as manager:
        manager.save(5, args=arguments)


def _version_1(path: Path) -> None:
    from orbax.checkpoint.experimental import v1

    v1.save(path, nested(NNX))


def _nnx(path: Path) -> None:
    import jax.numpy as jnp
    import optax
    import orbax.checkpoint as ocp
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self) -> None:
            self.a = nnx.Linear(2, 3, rngs=nnx.Rngs(0))

    model = Net()
    model.a.kernel.set_value(jnp.array(NNX["a.kernel"]))
    model.a.bias.set_value(jnp.array(NNX["a.bias"]))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    state = {"model": nnx.state(model), "optimizer": nnx.state(optimizer)}
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, state)


def _sharded(path: Path, **options: Any) -> None:
    import jax
    import orbax.checkpoint as ocp

    mesh = jax.make_mesh((4,), ("x",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    tree = {key: jax.device_put(array, rows) for key, array in SHARDED.items()}
    ocp.Checkpointer(ocp.PyTreeCheckpointHandler(**options)).save(path, tree)


def _store(path: Path, config: dict[str, Any]) -> None:
    """Write MANY, half of them in each of two versions of the store, into small nodes."""
    import tensorstore

    base, context = f"file://{path}/", tensorstore.Context()
    for half in (list(MANY)[::2], list(MANY)[1::2]):
        with tensorstore.Transaction() as transaction:
            for key in half:
                spec = {
                    "driver": "zarr",
                    "kvstore": {"driver": "ocdbt", "base": base, "path": f"{key}/"},
                    "metadata": {"compressor": None, "chunks": [1, 3]},
                    "store_data_equal_to_fill_value": True,
                }
                spec["kvstore"]["config"] = config  # type: ignore[index]
                options = {"transaction": transaction, "context": context, "create": True}
                opening = tensorstore.open(spec, dtype="float32", shape=[2, 3], **options)
                opening.result().write(MANY[key]).result()
    entries = {
        str(tuple(key.split("."))): {
            "key_metadata": [{"key": part, "key_type": 2} for part in key.split(".")],
            "value_metadata": {"value_type": "jax.Array", "skip_deserialize": False},
        }
        for key in MANY
    }
    fields = {"tree_metadata": entries, "use_ocdbt": True, "use_zarr3": False}
    fields["store_array_data_equal_to_fill_value"] = True
    (path / "_METADATA").write_text(json.dumps(fields))


_SMALL = {"max_decoded_node_bytes": 500, "max_inline_value_bytes": 16, "compression": None}

MADE: dict[str, Callable[[Path], None]] = {
    "ocdbt": lambda path: _pytree(path, use_ocdbt=True),
    "ocdbt_zarr3": lambda path: _pytree(path, use_ocdbt=True, use_zarr3=True),
    "zarr2": lambda path: _pytree(path, use_ocdbt=False),
    "zarr3": lambda path: _pytree(path, use_ocdbt=False, use_zarr3=True),
    "manager": _manager,
    "composite": _composite,
    "version_1": _version_1,
    "nnx": _nnx,
    "sharded": lambda path: _sharded(path, use_ocdbt=True),
    "sharded_zarr3": lambda path: _sharded(path, use_ocdbt=False, use_zarr3=True),
    "interior_nodes": lambda path: _store(path, _SMALL),
    "numbered": lambda path: _store(path, {**_SMALL, "manifest_kind": "numbered"}),
}


def main(target: Path) -> None:
    """Write all of them into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, make in MADE.items():
            place = Path(folder) / name
            make(place)
            shutil.make_archive(str(target / name), "zip", place)


if __name__ == "__main__":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
    main(Path(sys.argv[1]).absolute())
