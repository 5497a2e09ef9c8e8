"""A load changes all or nothing: a property over every kind of place, leaf and option."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from caten_sd.errors import CatenError, LoadError
from caten_sd.loading.load import plan_load
from caten_sd.loading.repairs import fill, skip
from caten_sd.loading.report import FITS, LoadPlan, Outcome
from caten_sd.loading.with_state import with_state
from caten_sd.objects.extract import get_state_dict, to_state_dict
from caten_sd.state.backing import BytesBacking
from caten_sd.state.block_tensor import BlockTensor
from caten_sd.state.compare import same_values
from caten_sd.state.dtype import DTYPES
from caten_sd.state.lazy_tensor import LazyTensor
from caten_sd.state.leaf import Numpy, as_array
from caten_sd.state.source import Source
from tests.properties import examples


@attrs.frozen
class Frozen:
    leaf: object


def read_only() -> np.ndarray:
    array = np.zeros(4, np.float32)
    array.flags.writeable = False
    return array


PLACES: dict[str, Any] = {
    "tensor": lambda: torch.zeros(4),
    "parameter": lambda: nn.Parameter(torch.zeros(4)),
    "module": lambda: nn.Linear(4, 1, bias=False),
    "half": lambda: torch.zeros(4, dtype=torch.bfloat16),
    "array": lambda: np.zeros(4, np.float32),
    "count": lambda: np.zeros(4, np.int64),
    "frozen": lambda: Frozen(torch.zeros(4)),
    "tuple": lambda: (np.zeros(4, np.float32),),
    "strided": lambda: torch.zeros(4, 2)[:, 0],
    "read-only": read_only,
    "expanded": lambda: torch.zeros(1).expand(4),
}
BROKEN = {"read-only", "expanded"}


def mapped(count: int) -> LazyTensor:
    data = np.arange(1, 5, dtype=np.float32).tobytes()[: 4 * count]
    return LazyTensor(Source("w.bin", BytesBacking(data), 0, len(data)), 0, DTYPES["float32"], (4,))


class UnknownBlocks:
    dtype = DTYPES["float32"]._replace(name="q_new", kind="block", bits=16, per=4)


LEAVES: dict[str, Any] = {
    "tensor": lambda: torch.arange(1.0, 5),
    "array": lambda: np.arange(1, 5, dtype=np.float32),
    "double": lambda: np.arange(1, 5, dtype=np.float64) + 1e-9,
    "int": lambda: torch.arange(1, 5),
    "mapped": lambda: mapped(4),
    "big endian": lambda: np.arange(1, 5, dtype=">f4"),
    "short": lambda: mapped(3),
    "meta": lambda: torch.zeros(4, device="meta"),
    "sparse": lambda: torch.arange(1.0, 5).to_sparse(),
    "blocks": lambda: BlockTensor(UnknownBlocks(), np.zeros((1, 2), np.uint8), (4,)),
    "shape": lambda: torch.zeros(5),
    "text": lambda: "text",
    "nothing": lambda: None,
}
UNREADABLE = {"short", "meta", "sparse", "blocks"}
options = st.fixed_dictionaries(
    {},
    optional={
        "assign": st.booleans(),
        "dtype": st.sampled_from(["keep", "to_model", "float16", {"s0*": "float64"}]),
        "allow_missing": st.sampled_from(["*", "s1"]),
        "allow_unexpected": st.just("*"),
        "on_mismatch": st.sampled_from(
            [{"*": skip}, {"s0": fill(7)}, {"*": lambda file, place: 1 / 0}]
        ),
        "check_values": st.just(True),
        "map_location": st.just("cpu"),
    },
)


def bits(model: object) -> dict[str, tuple[int, bytes]]:
    return {
        key: (id(leaf), as_array(Numpy(), leaf).tobytes())
        for key, leaf in get_state_dict(model).items()
    }


def key_of(index: int, kind: str) -> str:
    return f"s{index}" + {"module": ".weight", "frozen": ".leaf", "tuple": ".0"}.get(kind, "")


@settings(max_examples=examples(300))
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(PLACES)), st.sampled_from([*LEAVES, "absent"])),
        min_size=1,
        max_size=5,
    ),
    options,
)
def test_all_or_nothing(pairs: list[tuple[str, str]], wishes: dict[str, Any]) -> None:
    model = {f"s{index}": PLACES[place]() for index, (place, _) in enumerate(pairs)}
    file = {
        key_of(index, place): LEAVES[leaf]().reshape(1, 4) if place == "module" else LEAVES[leaf]()
        for index, (place, leaf) in enumerate(pairs)
        if leaf != "absent" and not (place == "module" and leaf not in ("tensor", "array"))
    }
    before = bits(model)
    try:
        report = plan_load(model, file, **wishes).apply()
    except CatenError as error:
        assert bits(model) == before, error  # noqa: PT017 (either may happen)
        return
    state = get_state_dict(model)
    assert [row.key for row in report.rows][: len(state)] == list(state)
    for row in report.rows[: len(state)]:
        if row.outcome is Outcome.LOADED and not row.note.startswith("fill"):
            assert same_values(file[row.key], state[row.key])
        elif row.outcome not in (Outcome.LOADED, Outcome.CAST):
            assert before[row.key] == bits(model)[row.key]


@given(st.sampled_from(sorted(PLACES)), st.sampled_from(sorted(UNREADABLE)), st.booleans())
def test_a_leaf_that_cannot_be_read_is_an_error_and_changes_nothing(
    place: str, leaf: str, assign: bool
) -> None:
    model = {"a": torch.zeros(2), "b": PLACES[place](), "c": torch.zeros(2)}
    file = {"a": torch.ones(2), "c": torch.ones(2)}
    file[key_of(0, place).replace("s0", "b")] = LEAVES[leaf]()
    before = bits(model)
    try:
        plan_load(model, file, assign=assign).apply()
    except CatenError:
        assert bits(model) == before
    else:  # it was no fit at all, or a sparse tensor was adopted
        assert place in ("module", "count") or leaf == "sparse"


class Taught:
    """Known by its method alone; ``view`` if its leaf is a new view at each extraction."""

    def __init__(self, leaf: Any, view: bool = False) -> None:
        self.inner, self.view = leaf, view


@to_state_dict.register(Taught)
def _taught(obj: Taught, parent: list[Any]) -> list[Any]:
    return [([*parent, "leaf"], obj.inner[:] if obj.view else obj.inner)]


OWNERS: dict[str, Any] = {
    "dict": lambda leaf: {"leaf": leaf},
    "list": lambda leaf: [leaf],
    "tuple": lambda leaf: (leaf,),
    "frozen": Frozen,
    "taught": Taught,
    "view": lambda leaf: Taught(leaf, True),
    "tied": lambda leaf: {"a": leaf, "b": leaf},
    "deep": lambda leaf: Frozen([{"x": Frozen(leaf)}]),
}


@pytest.mark.parametrize("verb", ["apply", "with_state"])
@settings(max_examples=examples(250))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(OWNERS)),
            st.sampled_from(sorted(set(PLACES) - {"module", "frozen", "tuple"})),
            st.sampled_from(sorted(set(LEAVES) - {"short"})),
        ),
        min_size=1,
        max_size=4,
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "assign": st.booleans(),
            "dtype": st.sampled_from(["keep", "to_model", "float16", "int32"]),
            "map_location": st.just("cpu"),
        },
    ),
)
def test_a_plan_that_fits_is_right(
    verb: str, kinds: list[tuple[str, str, str]], wishes: dict[str, Any]
) -> None:
    model = [OWNERS[owner](PLACES[place]()) for owner, place, _ in kinds]
    keys = list(get_state_dict(model))
    leaf_of = {f"{number}.": LEAVES[leaf] for number, (_, _, leaf) in enumerate(kinds)}
    file = {key: leaf_of[key[: key.index(".") + 1]]() for key in keys}
    plan = plan_load(model, file, **wishes)
    before = values(model)
    refused = plan.of(Outcome.UNASSIGNABLE, Outcome.CONFLICT)
    if verb == "with_state":
        try:
            new = with_state(model, file, silent=True, **wishes)
        except LoadError:
            assert refused or not plan.of(*FITS)
            return
        finally:
            assert values(model) == before
        assert_loaded(plan, new, file)
    elif refused or not plan.of(*FITS):
        with pytest.raises(LoadError):
            plan.apply()
        assert values(model) == before
    else:
        plan.apply()
        assert_loaded(plan, model, file)


def values(model: object) -> dict[str, bytes]:
    return {key: data for key, (_, data) in bits(model).items()}


def assert_loaded(plan: LoadPlan, model: object, file: dict[str, Any]) -> None:
    state = get_state_dict(model)
    for row in plan.of(Outcome.LOADED):
        assert same_values(file[row.key], state[row.key])
    for row in plan.of(Outcome.CAST):
        assert state[row.key] is not None
        assert np.allclose(
            as_array(Numpy(), file[row.key]).astype(float),
            as_array(Numpy(), state[row.key]).astype(float),
            rtol=0.01,
        )
