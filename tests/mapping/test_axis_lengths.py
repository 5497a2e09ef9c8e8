"""Axes that are made longer or shorter; what is cut off comes back, from memory or the metadata."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caten_sd import read_state_dict, write_state_dict
from caten_sd.errors import LayoutError
from caten_sd.layout import Chain, Layout, Pad, Row, Transpose, Trim
from caten_sd.mapping.layout_plan import plan_layout, to_layout
from caten_sd.mapping.trim_record import MOST, RECORD
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.dtype import DType
from caten_sd.state.leaf import Numpy, Torch, as_array
from caten_sd.state.state_dict import StateDict

PADDED = Layout("padded", [Row("wte", "tok", Pad(0, "vocab", multiple=8))])
CUT = Layout("cut", [Row("wpe", "pos", Trim(0, count=2, at="start"))])
CANON: dict[str, Any] = {"from_layout": PADDED.canonical}


def bits(state: Any) -> dict[str, bytes]:
    return {key: np.asarray(as_array(Numpy(), leaf)).tobytes() for key, leaf in state.items()}


def through_a_file(state: StateDict, folder: Path) -> StateDict:
    write_state_dict(state, folder / "m.safetensors")
    return read_state_dict(folder / "m.safetensors")


@pytest.mark.parametrize("kind", [Numpy(), Torch()])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64"])
def test_rows_are_added_and_cut_off_again(kind: Any, dtype: str) -> None:
    wte = torch.arange(15).reshape(5, 3).to(getattr(torch, dtype))
    there = to_layout({"wte": wte}, PADDED, **CANON)
    array = as_array(Numpy(), as_array(kind, there["tok"]))
    assert array.shape == (8, 3)
    assert array.dtype.name == dtype
    assert not array[5:].any()
    assert "padded with elements that are in no file" in str(
        plan_layout({"wte": wte}, PADDED, **CANON)
    )
    back = to_layout({"tok": array}, PADDED.canonical, from_layout=PADDED, vocab=5)
    assert bits(back) == bits({"wte": wte})
    assert to_layout(there, PADDED.canonical, from_layout=PADDED, vocab=5)["wte"] is wte


@pytest.mark.parametrize("zeros", [True, False])
def test_what_was_cut_off_comes_back_from_a_file(tmp_path: Path, zeros: bool) -> None:
    tok = np.arange(24, dtype="f4").reshape(8, 3) * (0 if zeros else 1)
    there = to_layout({"tok": tok}, PADDED.canonical, from_layout=PADDED, vocab=5)
    assert ("values" in there.metadata[RECORD]) is not zeros
    assert to_layout(there, PADDED, **CANON)["tok"] is tok
    stored = through_a_file(there, tmp_path)
    assert stored["wte"].shape == (5, 3)
    back = plan_layout(stored, PADDED, **CANON)
    assert bits(back.state_dict) == {"tok": tok.tobytes()}
    assert RECORD not in back.state_dict.metadata
    assert (back.findings.padded == ["tok"]) is zeros


def test_a_record_outlives_another_layout(tmp_path: Path) -> None:
    other = Layout("other", [Row("wte", "e.w")], base=PADDED.canonical)
    tok = np.random.default_rng(0).random((8, 3))
    there = to_layout({"tok": tok}, other, from_layout=PADDED, vocab=6)
    assert list(json.loads(there.metadata[RECORD])) == ["e.w"]
    back = to_layout(through_a_file(there, tmp_path), PADDED, from_layout=other)
    assert bits(back) == {"tok": tok.tobytes()}


def test_rows_at_the_start() -> None:
    wpe = np.arange(12.0).reshape(6, 2)
    there = to_layout({"wpe": wpe}, CUT, from_layout=CUT.canonical)
    assert np.array_equal(there["pos"].numpy(), wpe[2:])
    assert to_layout(there, CUT.canonical, from_layout=CUT)["wpe"] is wpe
    foreign = {"pos": wpe[2:]}
    plan = plan_layout(foreign, CUT.canonical, from_layout=CUT)
    assert np.array_equal(plan.state_dict["wpe"].numpy(), np.vstack([np.zeros((2, 2)), wpe[2:]]))
    assert plan.findings.padded == ["wpe"]


@given(st.integers(0, 9), st.integers(0, 1), st.sampled_from(["start", "end"]), st.booleans())
def test_every_trim_is_undone_from_its_record(kept: int, axis: int, at: str, turned: bool) -> None:
    trim = Trim(axis, "n", to="whole", at=at)
    operation = Chain(trim, Transpose()) if not turned else Chain(Transpose(), trim)
    layout = Layout("t", [Row("a", "b", operation.inverse())])
    array = np.random.default_rng(kept).integers(0, 2, (9, 9))
    plan = plan_layout({"b": array}, layout.canonical, from_layout=layout, n=max(kept, 1))
    there = plan.state_dict
    lost = any("cut off a" in hint for hint in plan.findings.hints)
    assert (RECORD in there.metadata) + lost == (kept < 9)
    assert lost is (not turned and kept < 9)
    stored = StateDict({"a": np.array(there["a"])}, metadata=there.metadata)
    back = to_layout(stored, layout, from_layout=layout.canonical, whole=9, silent=True)
    if not lost:
        assert np.array_equal(np.asarray(back["b"].numpy() if kept < 9 else back["b"]), array)


class Blocks:
    dtype = DType("q8", "block", 34 * 8, 32)


def test_packed_rows_are_cut_and_come_back_packed() -> None:
    raw = np.arange(8 * 34, dtype="u1").reshape(8, 34)
    given = {"tok": BlockTensor(Blocks(), raw, (8, 32))}
    there = to_layout(given, PADDED.canonical, from_layout=PADDED, vocab=6)
    wte = there["wte"]
    assert isinstance(wte, BlockTensor)
    assert (wte.shape, as_array(Numpy(), wte.raw).tobytes()) == ((6, 32), raw[:6].tobytes())
    stored = BlockTensor(Blocks(), np.array(as_array(Numpy(), wte.raw)), wte.shape)
    back = to_layout(StateDict({"wte": stored}, metadata=there.metadata), PADDED, **CANON)["tok"]
    assert isinstance(back, BlockTensor)
    assert as_array(Numpy(), back.raw).tobytes() == raw.tobytes()


def test_too_much_is_not_recorded_and_said() -> None:
    tok = np.ones((8, MOST), "f4")
    plan = plan_layout({"tok": tok}, PADDED.canonical, from_layout=PADDED, vocab=6)
    assert RECORD not in plan.state_dict.metadata
    assert "what is cut off wte is too much to be recorded" in str(plan)


def test_a_record_outlives_a_cast_and_a_change_of_names() -> None:
    tok = np.random.default_rng(0).random((8, 3), "f4")
    there = to_layout({"tok": tok}, PADDED.canonical, from_layout=PADDED, vocab=6)
    narrow = StateDict({"wte": there["wte"].numpy().astype("f2")}, metadata=there.metadata)
    assert bits(to_layout(narrow, PADDED, **CANON)) == {"tok": tok.astype("f2").tobytes()}
    codes = StateDict({"wte": np.zeros((6, 3), "i4")}, metadata=there.metadata)
    assert not np.asarray(to_layout(codes, PADDED, **CANON)["tok"]).any()
    renamed = StateDict({"other": tok}, metadata=there.metadata)
    assert RECORD not in to_layout(renamed, PADDED, silent=True, **CANON).metadata


VALUES = base64.b64encode(bytes(72)).decode()
RIGHT = {"axis": 0, "start": 0, "extent": 8, "dtype": "float64", "values": VALUES}


@pytest.mark.parametrize(
    "wrong",
    [
        "x",
        "[]",
        "[" * 100_000,
        json.dumps({"wte": {**RIGHT, "axis": float("inf")}}),
        json.dumps({"wte": {"axis": 0, "start": 0, "extent": 1 << 50, "value": 0.0}}),
        *(
            json.dumps({"wte": {**RIGHT, **change}})
            for change in (
                {"axis": 2},
                {"axis": -1},
                {"start": 4},
                {"extent": 3},
                {"extent": 1 << 60},
                {"values": "!"},
                {"values": ""},
                {"axis": "first"},
                {"values": None},
                {"dtype": "x"},
            )
        ),
        json.dumps({"wte": 5}),
        json.dumps({"wte": {"axis": 0, "start": 0, "extent": 8, "value": "x"}}),
    ],
)
def test_a_record_that_lies_is_refused(wrong: str) -> None:
    state = StateDict({"wte": np.ones((5, 3), "f8")}, metadata={RECORD: wrong})
    with pytest.raises(LayoutError, match=f"{RECORD} in the metadata .* remove that entry"):
        to_layout(state, PADDED, **CANON)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Pad(0),
        lambda: Pad(0, "n"),
        lambda: Pad(0, "n", "m", 8),
        lambda: Pad(0, count=2, multiple=8),
        lambda: Pad(0, "n", count=2),
        lambda: Trim(0, "n"),
        lambda: Pad(-1, "n", multiple=8),
        lambda: Pad(0, "n", multiple=8, at="middle"),
        lambda: Trim(0, "n/2", multiple=8),
    ],
)
def test_lengths_that_cannot_be_undone_are_refused(make: Any) -> None:
    with pytest.raises(LayoutError):
        make()


def test_a_length_that_does_not_fit_is_named() -> None:
    with pytest.raises(LayoutError, match="axis 0 of 5 cannot be cut to 9"):
        to_layout({"tok": np.ones((5, 1))}, PADDED.canonical, from_layout=PADDED, vocab=9)
    layout = Layout("to", [Row("a", "b", Pad(0, "n", "m"))])
    with pytest.raises(LayoutError, match="axis 0 of 5 is longer than the 4"):
        to_layout({"a": np.ones(5)}, layout, from_layout=layout.canonical, m=4)
    with pytest.raises(LayoutError, match="m is not known"):
        to_layout({"a": np.ones(5)}, layout, from_layout=layout.canonical)
    with pytest.raises(LayoutError, match="n is needed"):
        to_layout({"b": np.ones(5)}, layout.canonical, from_layout=layout)
