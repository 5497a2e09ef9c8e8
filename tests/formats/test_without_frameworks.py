"""The files of a framework are shown and read in a process that never imports it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np

from caten_sd import write_state_dict

FRAMEWORKS = (
    *("jax", "jaxlib", "flax", "equinox", "orbax", "tensorstore", "optax"),
    *("mlx", "tinygrad", "torch", "transformers", "peft", "safetensors", "gguf"),
)
READ = """
import sys
from caten_sd import read_state_dict
from caten_sd.cli import main
for path in sys.argv[1:]:
    assert main(["show", path]) == 0, path
    with read_state_dict(path) as found:
        values = [leaf.numpy().tolist() for leaf in found.values() if leaf.dtype.kind == "float"]
    assert [0.0, 1.0, 2.0] in values, (path, values)
print(*sorted({name.partition(".")[0] for name in sys.modules} & set(FRAMEWORKS)))
"""


def files(folder: Path) -> list[Path]:
    """Write a file of each kind as its framework writes it, or a format that it reads."""
    w, half = np.arange(3, dtype=np.float32), np.ones(2, ml_dtypes.bfloat16)
    paths = [folder / f"w.{suffix}" for suffix in ("msgpack", "gguf", "orbax/", "pt")]
    for path in ("w.msgpack", "w.gguf", "w.orbax/", "w.pt"):
        write_state_dict({"layer.w": w}, f"{folder}/{path}")
    with open(folder / "w.eqx", "wb") as file:  # of Equinox: arrays in a row
        np.save(file, w)
        np.save(file, half)
    np.savez(folder / "w.npz", w=w, half=half)  # of MLX: bfloat16 as raw bytes
    header = json.dumps(
        {"__metadata__": None, "w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}
    ).encode()
    text = len(header).to_bytes(8, "little") + header + w.tobytes()
    (folder / "w.safetensors").write_bytes(text)  # of MLX, which writes null
    return [*paths, folder / "w.eqx", folder / "w.npz", folder / "w.safetensors"]


def test_no_framework_is_imported_for_a_file(tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    for name in FRAMEWORKS:  # so that each can be imported, whatever is installed here
        (installed / name).mkdir(parents=True)
        (installed / name / "__init__.py").write_text("")
    (tmp_path / "files").mkdir()
    code = READ.replace("FRAMEWORKS", repr(FRAMEWORKS))
    root = str(Path(__file__).parents[2])
    env = {
        **{name: value for name, value in os.environ.items() if "COVERAGE" not in name},
        "PYTHONPATH": os.pathsep.join([str(installed), root]),
    }
    paths = [str(path) for path in files(tmp_path / "files")]
    result = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, env=env, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == ""
