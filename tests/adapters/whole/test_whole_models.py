"""Whole models from each framework into each: equal outputs, through objects and through files."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caten_sd import between, get_state_dict, read_state_dict, to_layout, with_state

for package in ("flax", "equinox", "mlx"):
    pytest.importorskip(package, reason="Flax, Equinox and MLX are not installed together")

pytestmark = pytest.mark.slow

WORLDS = ("torch", "caten", "nnx", "linen", "equinox", "mlx")
PAIRS = list(itertools.permutations(WORLDS, 2))
MODELS = ("transformer", "convolutional")
INPUTS = {
    "transformer": np.array([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 8]]),
    "convolutional": np.random.default_rng(0).uniform(-1, 1, (2, 3, 8, 8)).astype("f4"),
}
Made = Callable[[str, str], Any]


def module_of(world: str) -> Any:
    return import_module(f"tests.adapters.whole.of_{world}")


@pytest.fixture(scope="module")
def made() -> Made:
    """Return a function that gives each model in each framework, with the values of torch."""
    known: dict[tuple[str, str], Any] = {}

    def model(world: str, name: str) -> Any:
        if (world, name) not in known:
            new = getattr(module_of(world), name)()
            if world != "torch":
                first = model("torch", name)
                state = to_layout(get_state_dict(first), between(first, new))
                new = with_state(new, state, strict=True)
            known[world, name] = new
        return known[world, name]

    return model


def error(made: Made, world: str, name: str, model: Any) -> float:
    expected = module_of("torch").run(made("torch", name), INPUTS[name])
    given = module_of(world).run(model, INPUTS[name])
    assert given.shape == expected.shape
    return float(np.abs(given - expected).max())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_outputs_are_equal_through_live_objects(
    source: str, target: str, name: str, made: Made
) -> None:
    given, new = made(source, name), getattr(module_of(target), name)()
    state = to_layout(get_state_dict(given), between(given, new))
    assert error(made, target, name, with_state(new, state, strict=True)) < 1e-5


# An embedding and a dense layer of one shape have one name in a file: where its names are not those
# of the model, they are given.
EMBEDDINGS = {
    "caten": ("wte", "lm_head"),
    "linen": ("params.Embed_0", "params.Dense_0"),
    "mlx": ("embedding", "out"),
}
USUAL = ("embed", "head")


def names_between(source: str, target: str, name: str) -> dict[str, str]:
    one, other = EMBEDDINGS.get(source, USUAL), EMBEDDINGS.get(target, USUAL)
    if name != "transformer" or one == other or source in ("nnx", "linen", "equinox"):
        return {}  # the names of Flax tell the kinds, and a template those of Equinox
    return dict(zip(one, other, strict=True))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_outputs_are_equal_through_the_file_of_each(
    source: str, target: str, name: str, made: Made, tmp_path: Path
) -> None:
    file = module_of(source).write(made(source, name), tmp_path)
    new = getattr(module_of(target), name)()
    options: dict[str, Any] = {"names": names_between(source, target, name)}
    if target == "linen":
        options["modules"] = module_of(target).paths(name)
    with read_state_dict(file) as state:
        given: Any = state
        if file.suffix == ".eqx":  # it has no names: the model of Equinox gives them
            given = with_state(getattr(module_of(source), name)(), state, strict=True)
            options.pop("modules", None)
        layout = between(given, new, **options)
        leaves = given if given is state else get_state_dict(given)
        loaded = with_state(new, to_layout(leaves, layout), strict=True)
    assert error(made, target, name, loaded) < 1e-5
