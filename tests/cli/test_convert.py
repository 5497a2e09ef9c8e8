from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import load_file, save_file

from tests.cli.running import run


def test_convert_to_a_layout_turns_the_weights(gpt2: Path, capsys: pytest.CaptureFixture[str]):
    out_path = gpt2.parent / "caten.safetensors"
    code, out, _ = run(capsys, "convert", gpt2, out_path, "--to", "caten-gpt2")
    assert code == 0
    assert "read back and equal; layout caten-gpt2" in out
    given, written = load_file(gpt2), load_file(out_path)
    square = "h.1.attn.c_proj.weight"
    assert torch.equal(written[square], given["transformer." + square].T)
    assert not torch.equal(written[square], given["transformer." + square])


def test_convert_says_what_it_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    torch.save({"model": {"w": torch.ones(3)}, "epoch": 3}, tmp_path / "last.pt")
    code, out, _ = run(capsys, "convert", tmp_path / "last.pt", tmp_path / "w.npz")
    assert code == 0
    assert out.splitlines()[1].endswith("1 tensor, 12 bytes, read back and equal; left out: epoch")
    assert list(np.load(tmp_path / "w.npz")) == ["w"]


def test_floats_are_cast_with_exceptions_into_shards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    tensors = {"a.weight": torch.ones(300), "norm.weight": torch.ones(300), "ids": torch.arange(3)}
    save_file(tensors, tmp_path / "w.safetensors")
    words = ["--dtype", "bf16", "--dtype", "*norm*=f32", "--max-shard-size", "1kB", "--json"]
    code, out, err = run(capsys, "convert", tmp_path / "w.safetensors", f"{tmp_path}/out/", *words)
    assert (code, err) == (0, "")
    assert json.loads(out)["target"] == f"{tmp_path}/out"
    shards = sorted((tmp_path / "out").glob("*.safetensors"))
    assert len(shards) == 2
    found = {key: tensor for shard in shards for key, tensor in load_file(shard).items()}
    assert {key: tensor.dtype for key, tensor in found.items()} == {
        "a.weight": torch.bfloat16,
        "norm.weight": torch.float32,
        "ids": torch.int64,
    }


def test_what_will_be_written_is_said_first(good: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "convert", good, good.with_name("w.npz"))
    assert code == 0
    first = out.splitlines()[0]
    assert first.startswith("to write: 1 tensor, 16 B; memory needed: at most about")


def test_digests_are_stored_where_they_are_asked_for(
    good: Path, capsys: pytest.CaptureFixture[str]
):
    run(capsys, "convert", good, good.with_name("d.safetensors"), "--digests")
    with safe_open(good.with_name("d.safetensors"), "np") as file:
        assert any("digest" in key for key in file.metadata())


def test_a_terminal_sees_the_progress_and_a_pipe_does_not(
    good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    _, _, err = run(capsys, "convert", good, good.with_name("w.npz"))
    assert err == ""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, out, err = run(capsys, "convert", good, good.with_name("v.npz"))
    assert code == 0
    assert "bytes/s" in err or "bytes" in err
    assert "read back and equal" in out
    assert "\x1b" not in out


def test_what_is_written_wrong_replaces_nothing(
    good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    target = good.with_name("w.npz")
    target.write_bytes(b"old")
    monkeypatch.setattr("caten_sd.state.pieces.content_hash", lambda leaf: b"")
    code, _, err = run(capsys, "convert", good, target)
    assert code == 2
    assert f"{target}: it was not replaced" in err
    assert target.read_bytes() == b"old"


def test_keys_are_chosen_renamed_and_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tensors = {f"h.{n}.{name}.w": torch.full((2,), n) for n in range(2) for name in ("attn", "mlp")}
    save_file({**tensors, "wte": torch.ones(2)}, tmp_path / "w.safetensors")
    words = ["--only", "h.*", "--only", "wte", "--except", "*.mlp.*", "--except", "h.1.*"]
    words += ["--rename", "h.*.attn=layers.*.mixer", "--rename", "wte=embed.weight"]
    words += ["--metadata", "author=me", "--metadata", "sum=1+1=2"]
    out_path = tmp_path / "out.safetensors"
    code, out, err = run(capsys, "convert", tmp_path / "w.safetensors", out_path, *words)
    assert (code, err) == (0, "")
    assert "2 of 5 keys were selected, as asked" in out
    assert "2 keys were renamed, as asked" in out
    written = load_file(out_path)
    assert written.keys() == {"layers.0.mixer.w", "embed.weight"}
    assert torch.equal(written["layers.0.mixer.w"], tensors["h.0.attn.w"])
    with safe_open(out_path, "np") as file:
        assert file.metadata() == {"format": "pt", "author": "me", "sum": "1+1=2"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rename", "w"], "--rename 'w' is not OLD=NEW; write"),
        (["--rename", "a=b=c"], "--rename 'a=b=c' has more than one ="),
        (["--rename", "w=a", "--rename", "w=b"], "--rename gives 'w' twice, 'a' and 'b'"),
        (["--rename", "v=a"], "the rename 'v' matches no key"),
        (["--metadata", "author"], "--metadata 'author' is not KEY=VALUE"),
        (["--metadata", "a=1", "--metadata", "a=1"], "--metadata gives 'a' twice"),
        (["--only", "x"], "no key matches the pattern 'x'; the keys are w"),
        (["--only", "w", "--except", "*"], "none of 1 key is left to write"),
        (["--to", "mine.py:L"], "the layout 'mine.py:L' cannot be had: there is no file"),
        (["--max-shard-size", "1kB"], "whose writer has no option max_shard_size"),
    ],
)
def test_an_edit_that_cannot_be_made_is_one_sentence_and_writes_nothing(
    words: list[str], said: str, good: Path, capsys: pytest.CaptureFixture[str]
):
    code, _, err = run(capsys, "convert", good, good.with_name("out.safetensors"), *words)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert [path.name for path in good.parent.iterdir()] == [good.name]


def test_a_prefix_is_added_and_taken_off(good: Path, capsys: pytest.CaptureFixture[str]):
    there, back = good.with_name("a.safetensors"), good.with_name("b.safetensors")
    assert run(capsys, "convert", good, there, "--rename", "=model")[0] == 0
    assert list(load_file(there)) == ["model.w"]
    assert run(capsys, "convert", there, back, "--rename", "model=")[0] == 0
    assert list(load_file(back)) == ["w"]


@pytest.mark.parametrize("text", ["own_convert.py:MINE", "own_convert.py", "own_convert:MINE"])
def test_a_layout_of_ones_own_by_its_code(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    Path("own_convert.py").write_text(
        "from caten_sd.layout import Layout, Row, Transpose\n"
        "MINE = Layout('mine', [Row('a.w', 'x.w', Transpose())])\n"
    )
    save_file({"x.w": torch.arange(6.0).reshape(2, 3)}, "in.safetensors")
    words = ["in.safetensors", "out.safetensors", "--to", text, "--from", text]
    code, out, err = run(capsys, "convert", *words)
    assert (code, err) == (0, "")
    assert "layout mine" in out
    code, out, err = run(capsys, "check", "out.safetensors", "--against", text)
    assert (code, err) == (0, "")
    assert out.startswith("1 of 1 key is a name of mine")


@pytest.mark.parametrize("source", ["caten-gpt2", "hf-gpt2"])
def test_the_prefix_of_the_keys_is_chosen(
    source: str, gpt2: Path, capsys: pytest.CaptureFixture[str]
):
    there, out_path = gpt2.with_name("there.safetensors"), gpt2.with_name("bare.safetensors")
    assert run(capsys, "convert", gpt2, there, "--to", source)[0] == 0
    code, out, _ = run(capsys, "convert", there, out_path, "--to", "hf-gpt2", "--prefix", "")
    assert code == 0
    assert "layout hf-gpt2" in out
    given, written = load_file(gpt2), load_file(out_path)
    assert written.keys() == {key.removeprefix("transformer.") for key in given}
    assert all(torch.equal(written[key.removeprefix("transformer.")], given[key]) for key in given)


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["--prefix", "model."], ["--prefix", "'model.'", "--to", "--rename"]),
        (["--to", "hf-gpt2", "--prefix", "bert."], ["'bert.'", "hf-gpt2", "'transformer.', ''"]),
        (["--to", "caten-gpt2", "--prefix", "x."], ["'x.'", "caten-gpt2", "''"]),
    ],
)
def test_a_prefix_that_no_layout_has_is_refused(
    words: list[str], facts: list[str], gpt2: Path, capsys: pytest.CaptureFixture[str]
):
    out_path = gpt2.with_name("out.safetensors")
    code, _, err = run(capsys, "convert", gpt2, out_path, *words)
    assert code == 2
    assert all(fact in err for fact in facts)
    assert not out_path.exists()


def test_names_that_kohya_joins_are_told_by_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    model, theirs, ours = (tmp_path / f"{name}.safetensors" for name in ("model", "k", "d"))
    pair = {"lora_down.weight": torch.ones(2, 3), "lora_up.weight": torch.ones(3, 2)}
    lora = {f"lora_unet_mid_block_to_q.{name}": leaf for name, leaf in pair.items()}
    save_file({**lora, "lora_unet_mid_block_to_q.alpha": torch.tensor(2.0)}, theirs)
    save_file({"mid_block.to_q.weight": torch.ones(3, 3)}, model)
    words = ["convert", theirs, ours, "--to", "diffusers-lora"]
    code, _, err = run(capsys, *words)
    assert (code, "--against" in err) == (2, True)
    assert run(capsys, *words, "--against", model)[0] == 0
    assert set(load_file(ours)) == {f"unet.mid_block.to_q.lora_{each}.weight" for each in "AB"}
    (tmp_path / "nets.py").write_text(
        "import torch\ndef net():\n    mid = torch.nn.ModuleDict({'to_q': torch.nn.Linear(3, 3)})\n"
        "    return torch.nn.ModuleDict({'mid_block': mid})\n"
    )
    assert run(capsys, *words, "--against", f"{tmp_path}/nets.py:net")[0] == 0
    words = ["convert", theirs, ours, "--against", model]
    code, _, err = run(capsys, *words)
    assert (code, "--to" in err) == (2, True)
    code, _, err = run(capsys, *words, "--to", "peft-lora")
    assert (code, "--number lora_alpha=" in err) == (2, True)
    assert run(capsys, *words, "--to", "peft-lora", "--number", "lora_alpha=2")[0] == 0
    for more in (["--number", "lora_alpha=2"], ["--to", "peft-lora", "--number", "config=2"]):
        code, _, err = run(capsys, "convert", theirs, ours, *more)
        assert (code, "--number" in err) == (2, True)


def test_keys_that_are_left_over_are_said_with_the_exit_code(
    gpt2: Path, capsys: pytest.CaptureFixture[str]
):
    more = {**load_file(gpt2), "score.weight": torch.zeros(2, 4)}
    save_file(more, gpt2.with_name("more.safetensors"))
    words = [gpt2.with_name("more.safetensors"), gpt2.with_name("out.safetensors")]
    code, out, _ = run(capsys, "convert", *words, "--to", "caten-gpt2", "--from", "hf-gpt2")
    assert code == 1
    assert "score.weight" in out
    assert load_file(words[1])["score.weight"].shape == (2, 4)


def test_an_adapter_is_added_and_its_pairs_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, adapter, out = (tmp_path / name for name in ("b.npz", "a.safetensors", "o.npz"))
    np.savez(base, **{"fc.weight": np.eye(2, dtype="f4")})
    pair = {"lora_A.weight": np.ones((1, 2), "f4"), "lora_B.weight": np.ones((2, 1), "f4")}
    save_numpy({f"base_model.model.fc.{key}": leaf for key, leaf in pair.items()}, adapter)
    code, _, err = run(capsys, "convert", base, out, "--lora", adapter)
    assert code == 2
    assert "adapter_config.json" in err
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "lora_alpha": 2, "r": 1}')
    code, shown, _ = run(capsys, "convert", base, out, "--lora", adapter)
    assert code == 0
    assert "1 pair of the adapter added to 1 weight, scale 2" in shown
    assert np.load(out)["fc.weight"].tolist() == [[3, 2], [2, 3]]


def test_a_target_without_rows_for_most_tensors_is_refused_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "adapter_model.safetensors"
    pair = {"lora_A.weight": np.ones((1, 2), "f4"), "lora_B.weight": np.ones((2, 1), "f4")}
    save_file(
        {f"base_model.model.h.fc.{key}": torch.from_numpy(leaf) for key, leaf in pair.items()},
        theirs,
    )
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "lora_alpha": 2, "r": 1}')
    words = ["convert", theirs, tmp_path / "out.safetensors", "--to", "kohya-lora"]
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "layout kohya-lora has no row for most of what peft-lora has, as for h.fc." in err


def test_a_file_of_another_framework_becomes_one_of_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shapes = {
        "params.norm.scale": (3,),
        "params.norm.bias": (3,),
        "params.conv.kernel": (3, 3, 3, 3),
        "batch_stats.norm.mean": (3,),
        "batch_stats.norm.var": (3,),
    }
    theirs = {
        key: torch.arange(math.prod(shape)).reshape(shape).float() for key, shape in shapes.items()
    }
    save_file(theirs, tmp_path / "flax.safetensors")
    (tmp_path / "nets.py").write_text(
        "import torch\ndef net():\n    conv = torch.nn.Conv2d(3, 3, 3, bias=False)\n"
        "    return torch.nn.ModuleDict({'conv': conv, 'norm': torch.nn.BatchNorm2d(3)})\n"
    )
    words = ["--against", f"{tmp_path}/nets.py:net"]
    ours = tmp_path / "torch.safetensors"
    code, out, _ = run(capsys, "convert", tmp_path / "flax.safetensors", ours, *words)
    assert (code, "num_batches_tracked is filled with 0" in out) == (0, True)
    made = load_file(ours)
    assert torch.equal(made["conv.weight"], theirs["params.conv.kernel"].permute(3, 2, 0, 1))
    assert torch.equal(made["norm.running_var"], theirs["batch_stats.norm.var"])
    alone = {"conv.weight": torch.ones(3, 3, 3, 3), "norm.weight": torch.ones(3)}
    stats = {f"norm.{name}": torch.ones(3) for name in ("bias", "running_mean", "running_var")}
    save_file({**alone, **stats}, tmp_path / "mlx.safetensors")
    code, _, err = run(capsys, "convert", tmp_path / "mlx.safetensors", ours, *words)
    assert (code, "world=" in err) == (2, True)
    more = [*words, "--from", "mlx"]
    assert run(capsys, "convert", tmp_path / "mlx.safetensors", ours, *more)[0] == 0
