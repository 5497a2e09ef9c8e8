from __future__ import annotations

import importlib.util
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caten_sd as sd
from caten_sd.cli import main
from tests.formats.orbax.checkpoints_made import MADE, MANY, NNX, PLAIN, SHARDED

DATA = Path(__file__).parents[2] / "data" / "orbax"
NOT_PACKED = ("interior_nodes", "numbered")
needs_zstandard = pytest.mark.skipif(
    importlib.util.find_spec("zstandard") is None, reason="zstandard is not installed"
)


def unzipped(name: str, folder: Path) -> Path:
    with zipfile.ZipFile(DATA / f"{name}.zip") as archive:
        archive.extractall(folder / name)
    return folder / name


def arrays(path: Path, root: str | None = "") -> dict[str, Any]:
    with sd.read_state_dict(path, root=root) as state:
        return {key: np.array(leaf.numpy()) for key, leaf in state.items()}


def nnx() -> dict[str, Any]:
    moments = {
        f"optimizer.opt_state.0.{moment}.{key}.value": np.zeros_like(array)
        for moment in ("mu", "nu")
        for key, array in NNX.items()
    }
    counts = {"optimizer.opt_state.0.count.value": np.array(0, "i4")}
    model = {f"model.{key}.value": array for key, array in NNX.items()}
    return {**model, **moments, **counts, "optimizer.step.value": np.array(0, "u4")}


EXPECTED: dict[str, dict[str, Any]] = {
    "ocdbt": PLAIN,
    "ocdbt_zarr3": PLAIN,
    "zarr2": PLAIN,
    "zarr3": PLAIN,
    "manager": {"w": np.full((2, 3), 10, "f4"), "step": np.array(10)},
    "composite": {
        "opt_state.0.mu.net.w": np.zeros((2, 3), "f4"),
        "params.net.w": np.ones((2, 3), "f4"),
    },
    "version_1": NNX,
    "nnx": nnx(),
    "sharded": SHARDED,
    "sharded_zarr3": SHARDED,
    "interior_nodes": MANY,
    "numbered": MANY,
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in NOT_PACKED else [needs_zstandard]) for name in MADE],
)
def test_what_orbax_wrote_is_read_bit_for_bit(name: str, tmp_path: Path) -> None:
    found, expected = arrays(unzipped(name, tmp_path)), EXPECTED[name]
    assert sorted(found) == sorted(expected)
    for key, array in expected.items():
        assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape)
        assert found[key].tobytes() == array.tobytes()
        assert found[key].flags.writeable


@needs_zstandard
def test_none_and_texts_are_other_values(tmp_path: Path) -> None:
    with sd.read_state_dict(unzipped("ocdbt", tmp_path), root="") as state:
        assert state.others == {"none": None, "text": "some text"}


@needs_zstandard
def test_the_newest_step_is_taken_and_a_step_is_opened_by_its_own_path(tmp_path: Path) -> None:
    path = unzipped("manager", tmp_path)
    with sd.read_state_dict(path) as state:
        assert "step 10" in state.origin
        assert "2" in state.origin
    assert arrays(path / "9")["w"].tolist() == np.full((2, 3), 9).tolist()
    assert arrays(path / "9" / "default")["step"] == 9


@needs_zstandard
def test_the_model_is_taken_out_of_what_was_saved_with_it(tmp_path: Path) -> None:
    with sd.read_state_dict(unzipped("composite", tmp_path)) as state:
        assert list(state) == ["net.w"]
        assert state.rest.keys() == {"opt_state", "about"}
        assert state.rest["about"] == {"name": "a model", "size": 3}
    with sd.read_state_dict(unzipped("nnx", tmp_path)) as state:
        assert list(state) == ["a.bias.value", "a.kernel.value"]


@needs_zstandard
def test_an_item_without_the_package_that_unpacks_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(sd.FormatError, match=r"zstd.*pip install 'caten-sd\[orbax\]'"):
        arrays(unzipped("ocdbt", tmp_path))


@pytest.mark.slow
def test_neither_jax_nor_tensorstore_is_imported(tmp_path: Path) -> None:
    path = unzipped("numbered", tmp_path)
    program = (
        "import sys, caten_sd as sd\n"
        f"s = sd.read_state_dict({str(path)!r})\n"
        "print(sum(leaf.numpy().sum() for leaf in s.values()))\n"
        "assert not {'jax', 'tensorstore', 'orbax', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert float(done.stdout) == sum(float(array.sum()) for array in MANY.values())


def test_leaves_are_pickled_to_another_process(tmp_path: Path) -> None:
    with sd.read_state_dict(unzipped("interior_nodes", tmp_path)) as state:
        leaves = pickle.loads(pickle.dumps(dict(state)))
    assert leaves["layer_03.w"].numpy().tolist() == MANY["layer_03.w"].tolist()


def test_it_is_converted_to_safetensors_and_back_on_the_command_line(tmp_path: Path) -> None:
    path, there, back = unzipped("numbered", tmp_path), tmp_path / "a.safetensors", tmp_path / "b"
    assert main(["convert", str(path), str(there)]) == 0
    assert main(["convert", str(there), f"{back}.orbax/"]) == 0
    assert main(["diff", str(path), f"{back}.orbax"]) == 0
    assert list(arrays(Path(f"{back}.orbax"))) == list(MANY)


def test_metadata_ties_and_order_come_back(tmp_path: Path) -> None:
    w = np.ones((2, 3), "f4")
    state = sd.StateDict(
        {"b.w": w, "a": np.zeros(2), "b.v": w * 2, "tied": w}, metadata={"x": "'\"\n"}
    )
    sd.write_state_dict(state, tmp_path / "m.orbax")
    with sd.read_state_dict(tmp_path / "m.orbax") as found:
        assert list(found) == ["b.w", "a", "b.v", "tied"]
        assert dict(found.ties) == {"tied": "b.w"}
        assert found.metadata == {"x": "'\"\n"}


def test_metadata_that_others_wrote_is_kept(tmp_path: Path) -> None:
    sd.write_state_dict({"w": np.ones(2)}, tmp_path / "m.orbax")
    file = tmp_path / "m.orbax" / "_METADATA"
    fields = json.loads(file.read_text())
    file.write_text(json.dumps({**fields, "custom_metadata": {"run": 7}}))
    with sd.read_state_dict(tmp_path / "m.orbax") as found:
        assert found.metadata == {"run": 7}
