"""Orbax and TensorStore themselves read what we write, and what they write is read."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import caten_sd as sd
from caten_sd.cli import main
from caten_sd.testing.samples import every_dtype
from tests.formats.orbax.ocdbt_made import metadata

pytestmark = pytest.mark.slow
REASON = "Orbax is not installed; .ci/run worlds installs it"
tensorstore = pytest.importorskip("tensorstore", reason=REASON)
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


class Made:
    """An array of random shape, dtype, chunks and codecs, as TensorStore writes it."""

    def __init__(self, seed: int) -> None:
        self.random = chance = random.Random(seed)
        shape = [chance.randint(1, 9) for _ in range(chance.randint(0, 4))]
        self.dtype = chance.choice(["float32", "bfloat16", "int8", "bool", "complex64", "int64"])
        self.array = np.array(np.random.default_rng(seed).integers(0, 2, shape)).astype(
            ml_dtypes.bfloat16 if self.dtype == "bfloat16" else self.dtype
        )
        self.chunks = [chance.randint(1, size) for size in shape]
        self.is_zarr3 = chance.random() < 0.5
        self.is_ocdbt = chance.random() < 0.5
        self.fills = chance.random() < 0.5

    def write(self, folder: Path, key: str) -> None:
        base = {"driver": "file", "path": f"{folder}/{key}/"}
        if self.is_ocdbt:
            config = {"max_decoded_node_bytes": self.random.choice([300, 8 << 20])}
            base = {"driver": "ocdbt", "base": f"file://{folder}/", "path": f"{key}/"}
            base["config"] = {**config, "compression": self.random.choice([None, {"id": "zstd"}])}
        made = self._zarr3() if self.is_zarr3 else self._zarr2()
        spec = {"driver": "zarr3" if self.is_zarr3 else "zarr", "kvstore": base, "metadata": made}
        spec["store_data_equal_to_fill_value"] = not self.fills
        shape = list(self.array.shape)
        opening = tensorstore.open(spec, create=True, dtype=self.dtype, shape=shape)
        opening.result().write(self.array).result()
        text = metadata([key], store_array_data_equal_to_fill_value=not self.fills)
        (folder / "_METADATA").write_bytes(text)

    def _zarr2(self) -> dict[str, Any]:
        packed = [None, {"id": "zstd", "level": 1}, {"id": "gzip", "level": 1}, {"id": "zlib"}]
        return {
            "chunks": self.chunks,
            "compressor": self.random.choice(packed),
            "order": self.random.choice("CF") if self.array.ndim > 1 else "C",
            "dimension_separator": self.random.choice("./"),
        }

    def _zarr3(self) -> dict[str, Any]:
        endian = self.random.choice(["little", "big"])
        packed = [[], [{"name": "zstd"}], [{"name": "gzip"}], [{"name": "crc32c"}]]
        codecs = [{"name": "bytes", "configuration": {"endian": endian}}]
        codecs += self.random.choice(packed)
        grid = self.chunks
        if self.random.random() < 0.6:
            grid = [size * self.random.randint(1, 3) for size in self.chunks]
            if any(g > n for g, n in zip(grid, self.array.shape, strict=True)):
                grid = self.chunks
            location = self.random.choice(["start", "end"])
            within = {"chunk_shape": self.chunks, "codecs": codecs, "index_location": location}
            codecs = [{"name": "sharding_indexed", "configuration": within}]
        encoding = {"name": self.random.choice(["default", "v2"])}
        return {
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": grid}},
            "chunk_key_encoding": encoding,
            "codecs": codecs,
        }


@pytest.mark.parametrize("seed", range(150))
def test_arrays_of_any_chunks_and_codecs_and_their_slices(seed: int, tmp_path: Path) -> None:
    made = Made(seed)
    made.write(tmp_path, "w")
    with sd.read_state_dict(tmp_path) as state:
        leaf = state["w"]
        assert str(leaf.dtype) == made.dtype
        assert leaf.numpy().tobytes() == made.array.tobytes()
        for _ in range(5):
            index = tuple(_pick(made.random, size) for size in made.array.shape)
            index = index[: made.random.randint(0, len(index))]
            assert leaf[index].numpy().tolist() == made.array[index].tolist()


def _pick(chance: random.Random, size: int) -> Any:
    if chance.random() < 0.3:
        return chance.randrange(size)
    start = chance.randrange(size)
    return slice(start, chance.randint(start, size), chance.randint(1, 3))


@pytest.mark.parametrize("seed", range(20))
def test_a_store_with_a_history(seed: int, tmp_path: Path) -> None:
    """Values are written, changed and removed in many versions, in nodes of any size."""
    chance = random.Random(seed)
    config = {
        "max_decoded_node_bytes": chance.choice([100, 400, 3000]),
        "max_inline_value_bytes": chance.choice([0, 16, 1000]),
        "manifest_kind": chance.choice(["single", "numbered"]),
        "compression": chance.choice([None, {"id": "zstd"}]),
        "version_tree_arity_log2": chance.choice([1, 4]),
    }
    spec = {"driver": "ocdbt", "base": f"file://{tmp_path}/", "config": config}
    store = tensorstore.KvStore.open(spec).result()
    known: dict[str, bytes] = {}
    for _ in range(chance.randint(1, 12)):
        with tensorstore.Transaction() as transaction:
            change = store.with_transaction(transaction)
            for _ in range(chance.randint(1, 30)):
                key = f"{'a' * chance.randint(0, 40)}.{chance.randrange(200)}"
                if key in known and chance.random() < 0.4:
                    change.write(key, None)
                    known.pop(key)
                else:
                    known[key] = chance.randbytes(chance.choice([0, 5, 60]))
                    change.write(key, known[key])
    assert _values(tmp_path) == known


def _values(folder: Path) -> dict[str, bytes]:
    from caten_sd.formats.orbax.folder_below import FolderBelow
    from caten_sd.formats.orbax.ocdbt import read_ocdbt
    from caten_sd.state.header_memory import HeaderMemory
    from caten_sd.state.source import Folder

    nodes = read_ocdbt(FolderBelow(Folder(folder)), HeaderMemory("a store", 1 << 20))
    return {
        node.keys[at].decode(): node.source(at, "a value").head(1 << 20)
        for node in nodes
        for at in range(len(node.keys))
    }


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
