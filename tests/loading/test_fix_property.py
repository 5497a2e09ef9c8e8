"""Whatever happened to the names and axes of a file, a fix that is printed loads no wrong value."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import caten_sd
from caten_sd.loading.load import plan_load
from tests.properties import examples

State = dict[str, torch.Tensor]
NAMES = st.sampled_from(
    ["attn", "mlp", "fc", "fc1", "fc2", "norm", "h", "layers", "0", "1", "2", "model", "q", "k"]
)
LASTS = st.sampled_from(["weight", "bias", "scale", "gamma"])
SHAPES = st.sampled_from(
    [(3,), (4,), (3, 4), (4, 3), (4, 4), (5, 4), (1, 4), (2, 3, 1), (4, 3, 2, 2)]
)


@st.composite
def models(draw: st.DrawFn) -> State:
    """Return a model of a few tensors with different values."""
    paths = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
    keys = draw(
        st.lists(st.tuples(paths, LASTS).map(".".join), min_size=1, max_size=8, unique=True)
    )
    shapes = {key: draw(SHAPES) for key in keys}
    for stem in draw(st.lists(st.sampled_from(["h.", "layers.", "layer", "fc_"]), max_size=2)):
        first, count, shape = draw(st.integers(0, 2)), draw(st.integers(1, 4)), draw(SHAPES)
        shapes |= {f"{stem}{at}.weight": shape for at in range(first, first + count)}
    return {key: torch.full(shape, float(at + 1)).cumsum(-1)
            for at, (key, shape) in enumerate(shapes.items())}  # fmt: skip


def prefixed(state: State, name: str) -> State:
    return {f"{name}.{key}": leaf for key, leaf in state.items()}


def renamed(state: State, name: str) -> State:
    """Give another name to the first module, everywhere."""
    first = next(iter(state)).split(".")[0]
    return {".".join(name if part == first else part for part in key.split(".")): leaf
            for key, leaf in state.items()}  # fmt: skip


def last_renamed(state: State, name: str) -> State:
    return {key.replace("weight", name): leaf for key, leaf in state.items()}


def inserted(state: State, name: str) -> State:
    return {key.replace(".", f".{name}.", 1): leaf for key, leaf in state.items()}


def shifted(state: State, name: str) -> State:
    """Count all lists from one more."""
    return {".".join(str(int(part) + 1) if part.isdecimal() else part for part in key.split(".")):
            leaf for key, leaf in state.items()}  # fmt: skip


def counted_up(state: State, name: str) -> State:
    """Count everything from one more, in names too."""
    return {re.sub(r"\d+", lambda found: str(int(found[0]) + 1), key): leaf
            for key, leaf in state.items()}  # fmt: skip


def counted_within(state: State, name: str) -> State:
    """Write each number into the segment before it, or after a name."""
    return {re.sub(r"\.?(\d)", r"_\1" if name == "net" else r"\1", key): leaf
            for key, leaf in state.items()}  # fmt: skip


def counted_below(state: State, name: str) -> State:
    """Give lists another name, and write their numbers into it."""
    return {re.sub(r"(^|\.)(?:h|layers)\.(\d)", rf"\1{name}_\2", key): leaf
            for key, leaf in state.items()}  # fmt: skip


def flattened(state: State, name: str) -> State:
    """Join all axes but the first, in the order of Flax."""
    return {key: leaf.permute(0, 2, 3, 1).flatten(1) if leaf.ndim == 4 else leaf
            for key, leaf in state.items()}  # fmt: skip


def turned(state: State, name: str) -> State:
    """Transpose all matrices, if none is square: those of the same name show nothing of it."""
    if any(leaf.ndim == 2 and leaf.shape[0] == leaf.shape[1] for leaf in state.values()):
        return state
    return {key: leaf.T.contiguous() if leaf.ndim == 2 else leaf for key, leaf in state.items()}


def flax(state: State, name: str) -> State:
    """Call weights kernels, and transpose those."""
    found = {}
    for key, leaf in state.items():
        is_kernel = leaf.ndim == 2 and key.endswith("weight")
        new = key.removesuffix("weight") + "kernel" if is_kernel else key
        found[new] = leaf.T.contiguous() if is_kernel else leaf
    return found


def upper(state: State, name: str) -> State:
    return {key.upper(): leaf for key, leaf in state.items()}


def slashed(state: State, name: str) -> State:
    return {key.replace(".", "/"): leaf for key, leaf in state.items()}


def squeezed(state: State, name: str) -> State:
    return {
        k: leaf.reshape([size for size in leaf.shape if size != 1]) for k, leaf in state.items()
    }


def numbered(state: State, name: str) -> State:
    return {str(at): leaf for at, leaf in enumerate(state.values())}


def shorter(state: State, name: str) -> State:
    return dict(list(state.items())[1:]) or state


def extended(state: State, name: str) -> State:
    return {**state, f"{name}.more": torch.full((7, 7), -1.0)}


CHANGES: list[Callable[[State, str], State]] = [
    prefixed, renamed, last_renamed, inserted, shifted, turned, flax, upper, slashed, squeezed,
    numbered, shorter, extended, counted_up, counted_within, counted_below,
    flattened,
]  # fmt: skip
CHANGED = st.lists(
    st.tuples(
        st.sampled_from(CHANGES), st.sampled_from(["net", "model", "enc", "base_layer", "w"])
    ),
    min_size=1,
    max_size=2,
)


@settings(max_examples=examples(300))
@given(models(), CHANGED)
@example(  # both keys have the shape and, but for its number, the name of the other one's slot
    {"fc2.weight": torch.ones(3), "attn.fc1.weight": torch.zeros(3)}, [(counted_up, "net")]
)
@example(  # the file has a key for model.weight, which is not to go elsewhere
    {f"{name}.weight": torch.full((3,), n + 1.0) for n, name in enumerate(
        ["mlp", "attn", "mlp.attn", "model"])}, [(renamed, "model")]
)  # fmt: skip
def test_a_fix_loads_no_wrong_value(
    true: State, changes: list[tuple[Callable[[State, str], State], str]]
) -> None:
    file = true
    for change, name in changes:
        file = change(file, name)
    fresh = {key: torch.full_like(leaf, -2.0) for key, leaf in true.items()}
    try:
        fix = plan_load(fresh, file).fix
    except caten_sd.LoadError:  # two of its keys stand for one slot
        return
    if not fix:
        return
    names = {name: getattr(caten_sd, name) for name in caten_sd.__all__}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", caten_sd.LoadWarning)
        exec(fix, {**names, "model": fresh, "state_dict": file})
    for key, leaf in fresh.items():
        untouched = bool((leaf == -2.0).all())
        assert untouched or torch.equal(leaf, true[key]), (key, fix)
    assert not all(bool((leaf == -2.0).all()) for leaf in fresh.values()), fix


ODD = st.text(alphabet=".0123ab_{}*/:\n", max_size=6)


@settings(max_examples=examples(100))
@given(
    st.dictionaries(ODD, SHAPES, min_size=1, max_size=5),
    st.dictionaries(ODD, SHAPES, min_size=1, max_size=5),
)
def test_a_load_by_any_names_has_a_plan(
    model: dict[str, tuple[int, ...]], file: dict[str, tuple[int, ...]]
) -> None:
    fresh = {key: torch.zeros(shape) for key, shape in model.items()}
    with contextlib.suppress(caten_sd.CatenError):
        str(plan_load(fresh, {key: torch.ones(shape) for key, shape in file.items()}))
