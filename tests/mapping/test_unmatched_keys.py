"""Keys without a row in a layout of the caller's own are refused by the lines of its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caten_sd import StateDict, to_layout
from caten_sd.errors import LayoutError
from caten_sd.layout import Layout, Row

TOML = """version = 1
name = "mine"

[base]
name = "mine-a"

[[base.rows]]
canonical = "h.{i}.w"

[[rows]]
canonical = "h.{i}.w"
here = "l.{i}.k"
"""


def state(*keys: str) -> StateDict:
    return StateDict({key: np.zeros(2, "f4") for key in keys})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TOML)
    return path


def refused(given: StateDict, layout: str | Layout) -> str:
    with pytest.raises(LayoutError) as caught:
        to_layout(given, layout)
    return str(caught.value)


@pytest.mark.parametrize(("key", "name"), [("h.0.w", "mine-a"), ("l.0.k", "mine")])
def test_the_file_the_keys_and_the_lines_of_the_tables_are_named(
    file: Path, key: str, name: str
) -> None:
    said = refused(state(key, "x", "y"), str(file))
    assert said.startswith(f"{file}: if the source is in {name}, 2 keys have no row (x, y)")
    assert "[[base.rows]] (the last is at line 7)" in said
    assert "[[rows]] (the last is at line 10)" in said
    assert "caten-gpt2" not in said


def test_a_row_without_a_key_is_named_with_its_line(file: Path) -> None:
    with file.open("a") as opened:
        opened.write('[[rows]]\ncanonical = "z"\nhere = "zz"\n[[base.rows]]\ncanonical = "z"\n')
    said = refused(state("l.0.k"), str(file))
    assert "1 row finds no key (z <-> zz, line 14); remove or correct" in said


def test_a_layout_that_takes_most_of_the_keys_can_be_said_to_be_it(file: Path) -> None:
    said = refused(state("h.0.w", "x"), str(file))
    assert said.endswith("from_layout='mine-a' or --from mine-a")
    to_layout(state("h.0.w", "x"), str(file), from_layout="mine-a", silent=True)


def test_a_layout_in_code_has_no_lines() -> None:
    said = refused(state("h.0.w", "x", "y"), Layout("own", [Row("h.{i}.w", "l.{i}.k")]))
    assert "layout own: " in said
    assert "2 keys have no row (x, y); add rows for them" in said


def test_a_source_that_has_nothing_of_the_layout_is_asked_for_its_own(file: Path) -> None:
    assert "from_layout='NAME'" in refused(state("x", "y"), str(file))


def test_a_built_in_layout_takes_a_source_that_is_too_small_to_be_detected() -> None:
    shapes = {f"{name}.weight": (160, 64) for name in ("model.embed_tokens", "lm_head")}
    shapes["model.norm.weight"] = (64,)
    layer = {
        **dict.fromkeys(("input_layernorm", "post_attention_layernorm"), (64,)),
        **{f"self_attn.{n}_proj": (64, 64) for n in "qkvo"},
        **dict.fromkeys(("mlp.gate_proj", "mlp.up_proj"), (96, 64)),
        "mlp.down_proj": (64, 96),
    }
    for i in range(3):
        shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
    source = {name: np.zeros(shape, "f4") for name, shape in shapes.items()}
    sizes = {"num_attention_heads": 4, "num_key_value_heads": 4}
    assert "blk.0.attn_q.weight" in to_layout(source, "gguf-llama", **sizes)
