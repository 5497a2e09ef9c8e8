"""Orbax restores what we write, and what Orbax saves is read bit for bit."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import caten_sd as sd
from caten_sd.cli import main
from caten_sd.testing.samples import every_dtype
from tests.formats.orbax.test_orbax_folder import unzipped

pytestmark = pytest.mark.slow
REASON = "Orbax is not installed; .ci/run worlds installs it"
ocp = pytest.importorskip("orbax.checkpoint", reason=REASON)
pytest.importorskip("zstandard", reason=REASON)

HELD = {"float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "bool"}
HELD |= {"float8_e4m3fnuz", "float8_e5m2fnuz", "complex64", "complex128"}
HELD |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def arrays(path: Path) -> dict[str, Any]:
    with sd.read_state_dict(path, root="") as state:
        return {key: np.array(leaf.numpy()) for key, leaf in state.items()}


def flat(tree: Any, start: str = "") -> dict[str, Any]:
    if isinstance(tree, (dict, list, tuple)):
        named = tree.items() if isinstance(tree, dict) else enumerate(tree)
        return {k: v for name, each in named for k, v in flat(each, f"{start}{name}.").items()}
    return {} if tree is None else {start[:-1]: np.asarray(tree)}


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sorted(found) == sorted(expected)
    for key, array in expected.items():
        assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape), key
        assert found[key].tobytes() == array.tobytes(), key


def _tree(seed: int) -> dict[str, Any]:
    chance = random.Random(seed)

    def node(depth: int) -> Any:
        if depth == 0 or chance.random() < 0.3:
            shape = [chance.randint(1, 5) for _ in range(chance.randint(0, 3))]
            array = np.random.default_rng(chance.randrange(99)).random(shape)
            return array.astype(chance.choice(["f4", "i4", ml_dtypes.bfloat16]))
        names = ["a", "b.c", "d e", "ü", "0", "1", "layers"]
        return {chance.choice(names): node(depth - 1) for _ in range(chance.randint(1, 3))}

    return {"root": node(3), "w": np.ones((2, 2), "f4")}


@pytest.mark.parametrize("seed", range(12))
def test_trees_that_orbax_saved(seed: int, tmp_path: Path) -> None:
    tree = _tree(seed)
    options = {"use_ocdbt": seed % 2 == 0, "use_zarr3": seed % 3 == 0}
    ocp.Checkpointer(ocp.PyTreeCheckpointHandler(**options)).save(tmp_path / "c", tree)
    same(arrays(tmp_path / "c"), flat(tree))


@pytest.mark.parametrize("seed", range(12))
def test_trees_that_we_wrote_are_restored(seed: int, tmp_path: Path) -> None:
    expected = flat(_tree(seed))
    sd.write_state_dict(sd.StateDict(expected, metadata={"a": "b"}), tmp_path / "c.orbax")
    with ocp.StandardCheckpointer() as checkpointer:
        same(flat(checkpointer.restore(tmp_path / "c.orbax")), expected)
    same(flat(ocp.PyTreeCheckpointer().restore(tmp_path / "c.orbax")), expected)


def test_every_dtype_that_we_write_is_restored(tmp_path: Path) -> None:
    state = {key: array for key, array in every_dtype().items() if key in HELD}
    state |= {"empty": np.zeros((0, 3), "f4"), "number": np.array(3)}
    assert len(state) == len(HELD) + 2
    sd.write_state_dict(state, tmp_path / "c.orbax")
    with ocp.StandardCheckpointer() as checkpointer:
        same(flat(checkpointer.restore(tmp_path / "c.orbax")), state)


def test_version_1_of_orbax_restores_what_we_write(tmp_path: Path) -> None:
    v1 = pytest.importorskip("orbax.checkpoint.experimental.v1", reason=REASON)
    sd.write_state_dict({"a.w": np.ones((2, 3), "f4")}, tmp_path / "c.orbax")
    same(flat(v1.load(tmp_path / "c.orbax")), {"a.w": np.ones((2, 3), "f4")})


def test_a_template_of_shapes_restores_what_we_write(tmp_path: Path) -> None:
    jax = pytest.importorskip("jax", reason=REASON)
    w = np.arange(6, dtype="f4").reshape(2, 3)
    sd.write_state_dict({"layers.0.w": w, "layers.1.w": w + 1}, tmp_path / "c.orbax")
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shape = jax.ShapeDtypeStruct((2, 3), "float32", sharding=place)
    with ocp.StandardCheckpointer() as checkpointer:
        template = {"layers": {0: {"w": shape}, 1: {"w": shape}}}
        found = checkpointer.restore(tmp_path / "c.orbax", template)
    assert isinstance(found["layers"][1]["w"], jax.Array)
    assert found["layers"][1]["w"].tolist() == (w + 1).tolist()


MODEL = """
from flax import nnx

class Net(nnx.Module):
    def __init__(self, seed=0):
        rngs = nnx.Rngs(seed)
        self.layers = nnx.List([nnx.Linear(2, 3, rngs=rngs), nnx.BatchNorm(3, rngs=rngs)])

def build(seed=0):
    return Net(seed)
"""


@pytest.mark.parametrize("pure", [True, False])
def test_a_model_of_flax_takes_what_orbax_saved_of_it(
    pure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    nnx = pytest.importorskip("flax.nnx", reason=REASON)
    (tmp_path / "net_of_flax.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    from net_of_flax import build  # type: ignore[import-not-found]

    state = nnx.state(build(1))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "c", nnx.to_pure_dict(state) if pure else state)
    model = build(2)
    sd.load_state_dict(model, sd.read_state_dict(tmp_path / "c"), strict=True)
    same(flat(nnx.to_pure_dict(nnx.state(model))), flat(nnx.to_pure_dict(state)))
    assert main(["check", str(tmp_path / "c"), "--against", "net_of_flax:build"]) == 0
    assert "6 of 6 slots" in capsys.readouterr().out


def test_a_training_of_linen_is_shown_as_a_model_and_its_optimizer(
    tmp_path: Path, capsys: Any
) -> None:
    jax = pytest.importorskip("jax", reason=REASON)
    optax = pytest.importorskip("optax", reason=REASON)
    train_state = pytest.importorskip("flax.training.train_state", reason=REASON)
    linen = pytest.importorskip("flax.linen", reason=REASON)
    model = linen.Dense(3)
    params = model.init(jax.random.key(0), np.ones((1, 2)))["params"]
    state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))
    with ocp.CheckpointManager(tmp_path / "c") as manager:
        manager.save(7, args=ocp.args.StandardSave(state))
    with sd.read_state_dict(tmp_path / "c") as found:
        assert sorted(found) == ["bias", "kernel"]
        same({key: leaf.numpy() for key, leaf in found.items()}, flat(params))
        assert {"opt_state", "step"} <= found.rest.keys()
    assert main(["show", str(tmp_path / "c")]) == 0
    assert "opt_state" in capsys.readouterr().out


READS_ITS_OWN = """
import os, sys
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
import jax, jax.numpy as jnp, numpy as np
import caten_sd as sd
from caten_sd.formats.orbax.chunk_reading import ChunkReader
from tests.formats.orbax.checkpoints_made import SHARDED

rows = jax.sharding.NamedSharding(jax.make_mesh((4,), ("x",)), jax.sharding.PartitionSpec("x"))
tree = {key: jax.device_put(jnp.zeros_like(array), rows) for key, array in SHARDED.items()}
calls, chunk = [], ChunkReader.chunk
ChunkReader.chunk = lambda self, numbers: calls.append(numbers) or chunk(self, numbers)
loaded = sd.with_state(tree, sd.read_state_dict(sys.argv[1]))
assert all(np.array_equal(loaded[key], array) for key, array in SHARDED.items())
assert all(each.sharding == rows for each in loaded.values())
print(len(calls))
"""


@pytest.mark.parametrize("name", ["sharded", "sharded_zarr3"])
def test_each_device_reads_its_own_chunks_and_each_chunk_is_read_once(
    name: str, tmp_path: Path
) -> None:
    pytest.importorskip("jax", reason=REASON)
    command = [sys.executable, "-c", READS_ITS_OWN, str(unzipped(name, tmp_path))]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert done.stdout.split()[-1] == "12"  # three arrays on four devices


def _saved(path: Path, tree: Any, **options: Any) -> dict[str, Any]:
    handler = ocp.PyTreeCheckpointHandler(use_zarr3=options.pop("use_zarr3", False))
    ocp.Checkpointer(handler).save(path, args=ocp.args.PyTreeSave(tree, **options))
    return arrays(path)


@pytest.mark.parametrize("use_zarr3", [False, True])
def test_options_of_a_save(use_zarr3: bool, tmp_path: Path) -> None:
    tree = {"w": np.arange(400, dtype="f4").reshape(20, 20), "v": (np.ones(3), np.zeros((3, 3)))}
    small = {"w": ocp.SaveArgs(chunk_byte_size=100), "v": (ocp.SaveArgs(), ocp.SaveArgs())}
    for number, options in enumerate(({"save_args": small}, {"ocdbt_target_data_file_size": 500})):
        found = _saved(tmp_path / str(number), tree, use_zarr3=use_zarr3, **options)
        same(found, flat(tree))


def test_an_array_that_was_saved_by_itself(tmp_path: Path) -> None:
    same(_saved(tmp_path / "c", np.arange(3.0)), {"": np.arange(3.0)})


def test_names_and_metrics_of_steps(tmp_path: Path) -> None:
    options = ocp.CheckpointManagerOptions(
        step_prefix="ck", step_format_fixed_length=6, best_fn=lambda metrics: metrics["loss"]
    )
    with ocp.CheckpointManager(tmp_path, options=options) as manager:
        for step in (9, 10):
            tree = {"w": np.full(2, step)}
            manager.save(step, args=ocp.args.StandardSave(tree), metrics={"loss": 1.0 * step})
    with sd.read_state_dict(tmp_path) as state:
        assert "ck_000010" in state.origin
        assert state["w"].numpy().tolist() == [10, 10]
        assert state.rest == {"metrics": {"loss": 10.0}}
