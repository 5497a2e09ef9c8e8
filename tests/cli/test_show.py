"""What ``caten-sd show`` says of nested files, odd names and files that hold no tensor."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
import torch.distributed.checkpoint
from safetensors.torch import load_file, save_file

import caten_sd as sd
from tests.blocks.schemes.test_awq import packed as packed_by_awq
from tests.cli.running import run

NESTED = {
    "model": {"fc.weight": torch.ones(2, 3), "fc.bias": torch.ones(2)},
    "optimizer": {"state": {0: {"exp_avg": torch.ones(2, 3)}}, "param_groups": [{"lr": 0.1}]},
    "epoch": 3,
    "args": {"lr": 0.1, "betas": [0.9, 0.95]},
    "step": torch.tensor(7),
}


def shown(capsys: pytest.CaptureFixture[str], *words: str | Path) -> list[str]:
    code, out, err = run(capsys, "show", *words)
    assert (code, err) == (0, "")
    return out.splitlines()


def test_a_nested_file_says_which_tree_is_shown_and_what_lies_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "last.ckpt"
    torch.save(NESTED, path)
    assert shown(capsys, path)[:2] == [
        f"{path}: torch zip, its tree 'model', 2 tensors, 8 elements, 32 B",
        "  also in it: optimizer (1 tensor), epoch = 3, args (3 values), step []",
    ]
    assert shown(capsys, path, "--root", "optimizer")[:3] == [
        f"{path}: torch zip, its tree 'optimizer', 1 tensor, 6 elements, 24 B",
        "  also in it: model (2 tensors), epoch = 3, args (3 values), step []",
        "  values: param_groups.0.lr = 0.1",
    ]
    found = json.loads(run(capsys, "show", path, "--json")[1])
    assert found["rest"] == ["optimizer", "epoch", "args", "step"]


def test_much_beside_it_is_one_line_unless_all_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "last.pt"
    torch.save({"model": NESTED["model"], **{f"value_{i}": i for i in range(30)}}, path)
    line = shown(capsys, path)[1]
    assert len(line) <= 110
    assert line.endswith(" and 24 more")
    assert shown(capsys, path, "--all")[1].count("value_") == 30


def test_names_that_would_steer_the_terminal_are_shown_escaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "odd.safetensors"
    names = ["", "\x1b[31mred", "new\nline", "重み.層.0", "emoji.🦊", "with space"]
    save_file({name: torch.ones(1) for name in names}, path, {"note": "a\x1b[2Jb"})
    for words in (["show"], ["show", "--all"], ["keys"], ["keys", "--caten"]):
        code, out, _ = run(capsys, *words, path)
        assert code == 0
        assert "\x1b" not in out
        for name in ("''", r"'\x1b[31mred'", r"'new\nline'", "重み.層.0", "emoji.🦊", "with space"):
            assert any(line.strip().startswith(name) for line in out.splitlines())


@pytest.mark.parametrize("groups", [17, 18, 19, 20, 400])
def test_a_screenful_never_leaves_out_a_single_line(
    groups: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "w.safetensors"
    save_file({f"name{chr(97 + i % 26)}{i}x": torch.ones(i + 1) for i in range(groups)}, path)
    lines = shown(capsys, path)
    assert len(lines) == min(groups + 2, 20)
    assert (" more lines;" in lines[-1]) == (groups > 18)


def test_metadata_that_is_not_shown_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "w.safetensors"
    save_file({"w": torch.ones(1)}, path, {f"k{i}": "v" for i in range(9)})
    assert shown(capsys, path)[3] == "  ... and 7 more entries; --all shows every one"
    assert sum(" = v" in line for line in shown(capsys, path, "--all")) == 9


@pytest.mark.parametrize("contents", [{}, [], {"epoch": 3}])
def test_a_file_without_tensors_is_shown_as_such(
    contents: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    torch.save(contents, tmp_path / "w.pt")
    assert "0 tensors" in shown(capsys, tmp_path / "w.pt")[0]


def test_show_says_what_it_is_in_groups(gpt2: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "show", gpt2)
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == f"{gpt2}: safetensors, 28 tensors, 59,264 elements, 237.1 kB"
    row = next(line for line in lines if "attn.c_attn.weight" in line)
    assert row == "  transformer.h.{0..1}.attn.c_attn.weight x2: [32, 96] float32; 24.6 kB"
    assert len(lines) <= 20


def test_show_all_has_every_tensor_and_json_everything(
    gpt2: Path, capsys: pytest.CaptureFixture[str]
):
    keys = list(load_file(gpt2))
    _, out, _ = run(capsys, "show", "--all", gpt2)
    assert all(any(line.startswith(f"  {key}: [") for line in out.splitlines()) for key in keys)
    _, out, _ = run(capsys, "show", "--json", gpt2)
    found = json.loads(out)
    tensors = {row["key"]: row for row in found["groups"]["tensors"]}
    assert sorted(tensors) == sorted(keys)
    assert tensors["transformer.wte.weight"] == {
        "key": "transformer.wte.weight",
        "shape": [32, 32],
        "dtype": "float32",
        "bytes": 4096,
    }


class Absent:
    """Stays an object in a file."""


def pickled(kind: str, folder: Path) -> Path:
    value = {"w": torch.ones(2), "o": Absent()}
    if kind == "zip":
        torch.save(value, folder / "a.pt")
    elif kind == "legacy":
        torch.save(value, folder / "a.pt", _use_new_zipfile_serialization=False)
    elif kind == "bare":
        (folder / "a.pt").write_bytes(pickle.dumps({"w": np.ones(2), "o": Absent()}))
    elif kind == "npz":
        np.savez(folder / "a.npz", w=np.ones(2), o=np.array(Absent(), object))
        return folder / "a.npz"
    else:
        torch.distributed.checkpoint.save({"w": torch.ones(2)}, checkpoint_id=folder / "dcp")
        return folder / "dcp"
    return folder / "a.pt"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["zip", "legacy", "bare", "npz", "dcp"])
def test_names_in_a_pickle_are_listed_and_those_that_are_not_plain_data(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, name = pickled(kind, tmp_path), f"{__name__}.Absent"
    text = "\n".join(shown(capsys, path, "--all"))
    assert "in its pickle" in text
    found = json.loads("\n".join(shown(capsys, path, "--json")))
    assert found["imports"]
    if kind == "dcp":
        assert "all plain data" in text
        assert found["not_plain_data"] == []
    else:
        assert f"not plain data among them: {name}" in text
        assert found["not_plain_data"] == [name]
        assert name in found["imports"]


def test_a_name_in_a_pickle_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "m\x1b[2J\ud800\u202e"
    (tmp_path / "a.pkl").write_bytes(
        b"\x80\x04]"
        + b"".join(
            b"\x8c" + bytes([len(each)]) + each
            for each in (b"mod", name.encode("utf-8", "surrogatepass"))
        )
        + b"\x93a."
    )
    text = "\n".join(shown(capsys, tmp_path / "a.pkl"))
    assert "not plain data among them: " in text
    assert text.isprintable() or not set(text) & {"\x1b", "\u202e", "\ud800"}


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_raw_elements_of_two_bytes_come_with_what_they_may_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
):
    """As MLX and Equinox write bfloat16; the remedy is tried here on what it speaks of."""
    path, values = tmp_path / f"w{suffix}", np.ones((3, 2), ml_dtypes.bfloat16)
    if suffix == ".npz":
        np.savez(path, w=values)
    else:
        np.save(path, values)
    (note,) = [line for line in shown(capsys, path) if "--dtype bf16" in line]
    assert "bfloat16" in note
    assert json.loads(run(capsys, "show", path, "--json")[1])["notes"] == [note.strip()]
    assert run(capsys, "convert", path, tmp_path / "w.safetensors", "--dtype", "bf16")[0] == 0
    with sd.read_state_dict(tmp_path / "w.safetensors") as found:
        assert np.array_equal(found["w"].numpy(), values)
    np.save(tmp_path / "plain.npy", np.ones(2, "f4"))
    assert json.loads(run(capsys, "show", tmp_path / "plain.npy", "--json")[1])["notes"] == []


def test_how_weights_are_packed_is_shown_with_what_config_json_states(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = packed_by_awq()[0]
    sd.write_state_dict(tensors, tmp_path / "w.safetensors")
    expected = "quantized: awq, 4 bits, groups of 32; 1 weight"
    assert expected in " ".join(shown(capsys, tmp_path / "w.safetensors"))
    (tmp_path / "config.json").write_text('{"quantization_config": {"bits": 8}}')
    lines = " ".join(shown(capsys, tmp_path / "w.safetensors"))
    assert "fc.qweight has bits 4" in lines
    assert "config.json states 8" in lines
