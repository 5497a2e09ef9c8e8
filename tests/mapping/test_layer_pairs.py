"""Rows between one layer in two worlds: chains that cancel, parts that one world lacks."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from caten_sd import LayoutError, to_layout
from caten_sd.layout import Row, Transpose
from caten_sd.mapping import world_layers as lie
from caten_sd.mapping.layer_kinds import KINDS
from caten_sd.mapping.layer_pairs import PlacedLayer, rows_between
from caten_sd.mapping.layout_between import LayoutBetween
from caten_sd.state.leaf import Numpy, as_array

SHAPES = {
    "weight_ih": (12, 3),
    "weight_hh": (12, 4),
    "bias_ih": (12,),
    "bias_hh": (12,),
    **{f"{name}.weight": (8, 8) for name in ("query", "key", "value", "out")},
    **{f"{name}.bias": (8,) for name in ("query", "key", "value", "out")},
}
WAYS = {
    "LSTM": [
        lie.torch_recurrent("_l0"),
        lie.equinox_lstm(),
        lie.mlx_lstm(),
        lie.flax_joined_lstm(),
    ],
    "GRU": [lie.torch_recurrent(), lie.equinox_gru(), lie.mlx_gru(), lie.flax_gru_gates()],
    "attention": [
        lie.torch_attention()[:1] + lie.torch_attention()[4:],
        lie.flax_attention(2),
        lie.projections("out_proj"),
        lie.joined_attention("c_attn", "c_proj"),
    ],
}
PAIRS = [
    (kind, *each) for kind, ways in WAYS.items() for each in product(range(len(ways)), repeat=2)
]


def placed(kind: str, rows: Any, place: str) -> PlacedLayer:
    named = (
        Row(row.canonical, tuple(f"{place}.{name}" for name in row.names), row.operation)
        for row in rows
    )
    return PlacedLayer(kind, place, tuple(named))


def between(one: PlacedLayer, other: PlacedLayer) -> LayoutBetween:
    rows, said = rows_between(one, other)
    return LayoutBetween("between", rows, said=tuple(said))


def values(leaves: Any) -> dict[str, Any]:
    return {key: as_array(Numpy(), leaf) for key, leaf in leaves.items()}


@pytest.mark.parametrize(("kind", "here", "there"), PAIRS)
def test_the_way_there_and_back_keeps_every_world_of_one_bias(
    kind: str, here: int, there: int
) -> None:
    canonical = placed(kind, [Row(part) for part in KINDS[kind]], "torch")
    one, other = placed(kind, WAYS[kind][here], "a"), placed(kind, WAYS[kind][there], "b")
    random = np.random.default_rng(0)
    first = {
        f"torch.{part}": random.standard_normal(SHAPES[part]).astype("f4") for part in KINDS[kind]
    }
    mine = values(to_layout(first, between(canonical, one)))
    its = values(to_layout(mine, between(one, other)))
    back = values(to_layout(its, between(other, one)))
    assert back.keys() == mine.keys()
    if kind == "attention" or here:  # torch alone has two biases
        assert all(back[key].tobytes() == mine[key].tobytes() for key in mine)
    if kind == "attention" or there:
        straight = values(to_layout(first, between(canonical, other)))
        assert all(np.allclose(its[key], straight[key], atol=1e-6) for key in its)


def test_the_same_operation_on_both_sides_is_a_name_alone() -> None:
    one, other = (placed("dense", lie.flax_dense(), place) for place in "ab")
    rows, said = rows_between(one, other)
    assert all(row.renames_only for row in rows)
    assert not said


def test_kinds_of_a_world_of_its_own_have_no_parts_that_may_be_lacking() -> None:
    one = placed("router", (Row("gate", "gate", Transpose()), Row("noise")), "a")
    other = placed("router", (Row("gate"),), "b")
    with pytest.raises(LayoutError, match="a has noise, and b of the other model has none"):
        rows_between(one, other)
    (row, _), _ = rows_between(one, placed("router", (Row("gate"), Row("noise")), "b"))
    assert row.operation == Transpose()
