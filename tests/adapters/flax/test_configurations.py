"""Modules of linen and graphs of NNX have no variables, and are refused by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caten_sd import get_state_dict, load_state_dict, plan_load, with_state
from caten_sd.errors import StateDictError

pytest.importorskip("flax", reason="Flax is not installed: pip install 'caten-sd[flax]'")

import flax.linen as nn
import jax
from flax import nnx

jnp = jax.numpy


class Net(nn.Module):  # type: ignore[misc]
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.Dense(3)(x)


def variables() -> Any:
    return Net().init(jax.random.key(0), jnp.ones((1, 2)))


@pytest.mark.parametrize("verb", [load_state_dict, with_state, plan_load])
def test_a_module_of_linen_has_no_variables(verb: Any) -> None:
    for model in (Net(), Net().bind(variables())):
        with pytest.raises(StateDictError, match=r"Net, a module of linen.*init"):
            get_state_dict(model)
        with pytest.raises(StateDictError, match=r"Net, a module of linen.*init"):
            verb(model, get_state_dict(variables()))


def test_a_module_may_lie_next_to_its_variables() -> None:
    both = {"net": Net(), "variables": variables()}
    new = with_state(both, get_state_dict(both), strict=True)
    assert list(get_state_dict(new)) == [f"variables.{key}" for key in get_state_dict(variables())]
    assert new["net"] == both["net"]
    with pytest.raises(StateDictError, match=r"'net' is Net.*linen"):
        get_state_dict({"net": Net().bind(variables())})


def test_a_graph_has_no_variables_and_may_lie_next_to_its_state() -> None:
    graph, state = nnx.split(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    with pytest.raises(StateDictError, match=r"GraphDef.*nnx\.split"):
        get_state_dict(graph)
    given = {"1.kernel": np.ones((2, 3), "f4"), "1.bias": np.ones(3, "f4")}
    new = with_state((graph, state), given, strict=True)
    assert nnx.merge(*new)(jnp.ones(2)).tolist() == [3, 3, 3]
