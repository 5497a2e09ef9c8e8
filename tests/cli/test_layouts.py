"""``caten-sd layouts``: what is known, what proves it, and a layout as a file of one's own."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from caten_sd.cli import FAILED, FINE
from caten_sd.layout import Drop, Lacks, Layout, Row, Transpose
from caten_sd.mapping import layout_modules
from caten_sd.mapping.known import built_in_layouts
from tests.cli.running import run


def test_every_layout_is_listed_with_what_proves_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "layouts")
    assert code == FINE
    first, *lines = out.splitlines()
    architectures = {layout.architecture for layout in built_in_layouts().values()}
    count = f"{len(built_in_layouts())} layouts of {len(architectures)} architectures"
    assert first == count
    text = " ".join(map(str.strip, lines))
    assert len(lines) <= 26
    assert [each for each in architectures if each not in text] == []
    assert "caten, flax, gguf, hf, nanogpt and tf: gpt2" in text
    assert [each.name for each in built_in_layouts().values() if not each.proof] == []
    assert "names only" not in text
    assert lines[-1] == "  caten-sd layouts llama lists those of Llama with what proves each"


@pytest.mark.parametrize("word", ["gpt2", "GPT-2"])
def test_an_architecture_has_its_layouts_and_what_proves_each(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "layouts", word)
    assert code == FINE
    first, title, *lines = out.splitlines()
    of_gpt2 = [each for each in built_in_layouts().values() if each.architecture == "gpt2"]
    assert first == f"{len(of_gpt2)} layouts of 1 architecture"
    assert title == f"gpt2 ({len(of_gpt2)}):"
    told = dict(line.strip().split(": ", 1) for line in lines)
    assert told.keys() == {each.name for each in of_gpt2}
    assert "model.py" in told["nanogpt"]
    assert "transformers" in told["hf-gpt2"]


@pytest.mark.parametrize(("word", "some"), [("t5", "hf-mt5"), ("gemm", "hf-gemma2")])
def test_an_architecture_is_found_by_another_name_and_by_a_part_of_one(
    word: str, some: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "layouts", word)
    assert f"  {some}: " in out


def test_the_list_as_json_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "layouts", "--json")
    rows = {row["key"]: row for row in json.loads(out)["groups"]["gpt2"]}
    assert "model.py" in rows["nanogpt"]["proof"]
    assert rows["gguf-gpt2"]["metadata"] == {"general.architecture": "gpt2"}
    assert rows["hf-gpt2"]["canonical"] == "caten-gpt2"
    assert rows["hf-gpt2"]["source"] == "built in"


def test_a_layout_of_a_plug_in_is_listed_as_such(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = Layout("theirs", [Row("a")], architecture="their\x1barchitecture")
    monkeypatch.setattr("caten_sd.cli.layouts.announced_layouts", lambda: {"theirs": theirs})
    _, out, _ = run(capsys, "layouts")
    assert "  announced by a package: theirs" in out.splitlines()
    assert "  names only, which nothing proves: theirs" in out.splitlines()
    assert "\x1b" not in out
    _, out, _ = run(capsys, "layouts", "their")
    assert "  theirs: names only; announced by a package" in out.splitlines()
    assert "\x1b" not in out
    assert layout_modules.GROUP == "caten_sd.layouts"


def test_the_rows_of_one_layout(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "layouts", "hf-gpt2")
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == "hf-gpt2: a layout of gpt2 in 19 rows"
    turned = next(line for line in lines if line.startswith("h.{i}.mlp.c_fc.weight"))
    assert "<-> h.{i}.mlp.c_fc.weight: Transpose" in turned
    assert "lm_head.weight <-> lm_head.weight: if absent, wte.weight" in lines
    assert any(line.startswith("h.{i}.attn.bias: the causal mask") for line in lines)
    _, out, _ = run(capsys, "layouts", "hf-gpt2", "--json")
    found = json.loads(out)
    assert found["layout"] == "hf-gpt2"
    assert len(found["groups"]["canonical name <-> name here"]) == 17


def test_all_kinds_of_rows_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        Row("a.{i}", "b.{i}", Transpose(), where="i < 3", optional=True),
        Drop("mask", "computed"),
        Lacks("pooler", "it has none"),
    ]
    path = tmp_path / "mine.toml"
    path.write_text(Layout("mine", rows, prefixes=("model.", "")).to_toml())
    _, out, _ = run(capsys, "layouts", str(path))
    lines = [line.strip() for line in out.splitlines()]
    assert "a.{i} <-> b.{i}: Transpose(axes=None); where i < 3; optional" in lines
    assert {"mask: computed", "pooler: it has none", "proof: names only"} <= set(lines)


def test_a_layout_is_printed_changed_and_used(
    gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, text, _ = run(capsys, "layouts", "hf-gpt2", "--toml")
    changed = text.replace('"hf-gpt2"', '"mine"').replace('"wte.weight"', '"wte.weight"', 1)
    Path("mine.toml").write_text(changed.replace("transformer.", "net."))
    code, out, _ = run(capsys, "convert", gpt2, "there.safetensors", "--to", "mine.toml")
    assert (code, "layout mine" in out) == (FINE, True)
    assert "net.wte.weight" in load_file("there.safetensors")
    code, _, _ = run(capsys, "check", "there.safetensors", "--against", "mine.toml")
    assert code == FINE
    options = ("--from", "mine.toml", "--to", "hf-gpt2")
    code, _, _ = run(capsys, "convert", "there.safetensors", "back.safetensors", *options)
    assert code == FINE
    back, there = load_file("back.safetensors"), load_file(gpt2)
    assert all(back[key].equal(leaf) for key, leaf in there.items() if key in back)
    assert len(back) >= len(there) - 1


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["--toml"], ["name the layout"]),
        (["hf-gpt2", "--toml", "--json"], ["leave out --json"]),
        (["hf-gtp2"], ["'hf-gtp2'", "did you mean 'hf-gpt2'"]),
        (["gpt2", "--toml"], ["'gpt2'", "no layout"]),
        (["absent.toml"], ["absent.toml", "correct its path"]),
        ([""], ["no layout is called ''"]),
    ],
)
def test_what_cannot_be_shown_is_answered(
    words: list[str], facts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = run(capsys, "layouts", *words)
    assert code == FAILED
    assert [fact for fact in facts if fact not in error] == []
