from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from caten_sd.errors import StateDictError
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.formats.gguf.header_output import can_store, header_bytes, padding, type_number
from caten_sd.formats.gguf.values import TYPES
from caten_sd.state.dtype import DTYPES, DType
from caten_sd.state.leaf import Spec

W = {"w": np.ones((2, 3), "f4")}


def written(path: Path, **metadata: Any) -> Any:
    write_state_dict(W, path, metadata=metadata)
    with read_state_dict(path) as found:
        return found.metadata


def test_nested_arrays_and_arrays_of_another_type_come_back(tmp_path: Path) -> None:
    given = {
        "nested": [[1, 2], [3]],
        "texts": [["a"], ["b", "c"]],
        "wide": [1, 2],
        "bools": [True, False],
    }
    types = {"wide": ["uint64"]}
    found = written(tmp_path / "a.gguf", **given, **{TYPES: types})
    assert {key: found[key] for key in given} == given
    assert found[TYPES]["wide"] == ["uint64"]
    assert found[TYPES]["nested"] == [["int32"], ["int32"]]
    with read_state_dict(tmp_path / "a.gguf") as again:
        write_state_dict(again, tmp_path / "b.gguf")
    assert (tmp_path / "b.gguf").read_bytes() == (tmp_path / "a.gguf").read_bytes()


def test_an_array_that_was_read_can_be_written_as_another_type(tmp_path: Path) -> None:
    written(tmp_path / "a.gguf", k=[1, 2])
    with read_state_dict(tmp_path / "a.gguf") as found:
        array = found.metadata["k"]
        assert found.metadata[TYPES]["k"] == ["int32"]
        found = written(tmp_path / "b.gguf", k=array, **{TYPES: {"k": ["uint64"]}})
    assert found["k"] == [1, 2]
    assert found[TYPES]["k"] == ["uint64"]


def test_what_no_type_holds_becomes_json(tmp_path: Path) -> None:
    found = written(tmp_path / "a.gguf", odd={"a": range(2)}, mixed=[1, "x"], none=None)
    assert (found["odd"], found["mixed"], found["none"]) == ('{"a": [0, 1]}', '[1, "x"]', "null")
    field = gguf.GGUFReader(tmp_path / "a.gguf").get_field("odd")
    assert field is not None
    assert field.contents() == '{"a": [0, 1]}'


@pytest.mark.parametrize(
    ("value", "type"),
    [
        (300, "uint8"),
        (1, "bool"),
        (1, "no such type"),
        ("not JSON", "uint8"),
        ([1, 2], [["int32"]]),
        (3, ["int32"]),
        (3, "string"),
        ("x" * 99, "float32"),
    ],
)
def test_a_value_that_its_type_cannot_hold_is_named(tmp_path: Path, value: Any, type: Any) -> None:
    with pytest.raises(StateDictError, match=r"'k' .* remove 'k' from the metadata 'GGUF.types'"):
        written(tmp_path / "a.gguf", k=value, **{TYPES: {"k": type}})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("types", ["{", "[" * 100_000, "[]", 3])
def test_a_record_of_types_that_is_not_a_map_is_refused(tmp_path: Path, types: Any) -> None:
    with pytest.raises(StateDictError, match=r"'GGUF.types' is not a map .*leave it out"):
        written(tmp_path / "a.gguf", **{TYPES: types})


@pytest.mark.parametrize("alignment", [0, 24, "many", -32, 1 << 32, "9" * 5000])
def test_an_alignment_that_is_not_a_power_of_two_is_refused(tmp_path: Path, alignment: Any) -> None:
    with pytest.raises(StateDictError, match=r"general.alignment.*power of two; set it to 32"):
        written(tmp_path / "a.gguf", **{"general.alignment": alignment})


def test_an_alignment_as_text_is_used(tmp_path: Path) -> None:
    written(tmp_path / "a.gguf", **{"general.alignment": "64"})
    assert gguf.GGUFReader(tmp_path / "a.gguf").alignment == 64


def test_a_key_must_have_a_name() -> None:
    with pytest.raises(StateDictError, match="empty; rename"):
        header_bytes({"": Spec((1,), DTYPES["float32"], 4)}, {})


def test_types_have_the_numbers_of_gguf() -> None:
    assert type_number(DTYPES["bfloat16"]) == gguf.GGMLQuantizationType.BF16
    assert type_number(DType("q8_0", "block", 8)) == gguf.GGMLQuantizationType.Q8_0
    assert type_number(DType("qint8", "block", 8)) is None
    assert not can_store(Spec((1,), DTYPES["complex64"], 8))


def test_padding_ends_at_a_multiple() -> None:
    assert [len(padding(count, 32)) for count in (0, 1, 31, 32)] == [0, 31, 1, 0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a.rope.freq_base", 10000),
        ("a.rope.freq_base_swa", 1),
        ("a.rope.scaling.factor", 8),
        ("a.rope.scaling.yarn_beta_fast", 0.1),
        ("a.attention.scale", 1),
        ("a.expert_weights_scale", 2.5),
        ("a.final_logit_softcapping", 30),
    ],
)
def test_what_llama_cpp_reads_as_a_float_is_one(tmp_path: Path, key: str, value: float) -> None:
    path = tmp_path / "m.gguf"
    write_state_dict({"w": np.ones(2, "f4")}, path, metadata={key: value})
    field = gguf.GGUFReader(path).fields[key]
    assert (field.types[0].name, field.contents()) == ("FLOAT32", np.float32(value))
