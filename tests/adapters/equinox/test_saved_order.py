"""Files that Equinox writes, which have no names: those of the module that they are loaded into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caten_sd import plan_load, read_state_dict, with_state
from caten_sd.errors import LoadError

from .test_module_fields import eqx, jax, make, same, trained

jnp = jax.numpy


def saved(path: Path, tree: Any) -> Path:
    eqx.tree_serialise_leaves(path, tree)
    return path


def test_a_file_is_named_plainly_without_a_model(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.eqx", make(1)[0])
    with read_state_dict(path) as file:
        assert list(file) == [str(n) for n in range(8)]
        assert [str(leaf.dtype) for leaf in file.values()].count("bfloat16") == 2
        assert file["0"].numpy().tolist() == make(1)[0].layers[0].weight.tolist()


def test_a_model_gives_the_names(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.eqx", make(1)[0])
    with read_state_dict(path) as file:
        assert same(with_state(make(0)[0], file, strict=True), make(1)[0])


def test_a_load_in_place_is_refused_without_a_line_for_other_names(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.eqx", eqx.nn.Linear(3, 2, key=jax.random.key(0)))
    with read_state_dict(path) as file:
        plan = plan_load(eqx.nn.Linear(3, 2, key=jax.random.key(1)), file)
    assert "with_state(model, state_dict)" in str(plan)
    assert not plan.cause


@pytest.mark.parametrize("make_root", [tuple, list])
def test_a_model_and_its_state_in_one_file(tmp_path: Path, make_root: Any) -> None:
    both = make_root([make(1)[0], trained(1)])
    with read_state_dict(saved(tmp_path / "m.eqx", both)) as file:
        assert same(with_state(make_root(make(0)), file, strict=True), both)


def test_a_state_alone(tmp_path: Path) -> None:
    with read_state_dict(saved(tmp_path / "s.eqx", trained(1))) as file:
        assert same(with_state(make(0)[1], file, strict=True), trained(1))


def test_a_line_of_json_before_the_arrays(tmp_path: Path) -> None:
    path = tmp_path / "m.eqx"
    with path.open("wb") as file:
        file.write(b'{"size": 3}\n')
        eqx.tree_serialise_leaves(file, make(1)[0])
    with read_state_dict(path) as state:
        assert state.metadata["hyperparameters"] == '{"size": 3}'
        assert same(with_state(make(0)[0], state, strict=True), make(1)[0])


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        (lambda: eqx.nn.Linear(2, 3, key=jax.random.key(0)), r"2 arrays, and Net has 8"),
        (
            lambda: [jnp.ones((3, 2)), *[jnp.ones(3)] * 7],
            r"array 4 .*is \[3\], and layers\.1\.inference of Net is \[\]",
        ),
    ],
)
def test_the_file_of_another_model_is_refused(tmp_path: Path, tree: Any, why: str) -> None:
    path = saved(tmp_path / "m.eqx", tree())
    with read_state_dict(path) as file, pytest.raises(LoadError, match=why):
        with_state(make(0)[0], file, silent=True)


def test_abstract_shapes_are_template_enough(tmp_path: Path) -> None:
    shapes, _ = eqx.filter_eval_shape(lambda: make(0))
    path = saved(tmp_path / "m.eqx", make(1)[0])
    with read_state_dict(path) as file:
        new = with_state(shapes, file, strict=True)
    assert same(new.layers, make(1)[0].layers)
