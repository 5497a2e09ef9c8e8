"""The containers in an object, with wrappers undone and caches left out."""

from __future__ import annotations

import collections
from dataclasses import dataclass

import attrs
import torch
from torch import nn

from caten_sd.objects.containers import computed, containers
from caten_sd.objects.slots import buffer, transient


@attrs.define
class Inner:
    w: object = None
    mask: object = buffer(persistent=False, default=None)
    cache: object = transient(default=None)


@dataclass
class Data:
    inner: object


Pair = collections.namedtuple("Pair", "first second")


def paths(obj: object) -> list[list[object]]:
    return [each.path for each in containers(obj)]


def test_every_kind_of_container_is_walked() -> None:
    obj = {"a": [Inner(), None, 3], "b": Data(Pair(Inner(), (nn.Linear(1, 1),)))}
    assert paths(obj) == [
        [],
        ["a"],
        ["a", 0],
        ["b"],
        ["b", "inner"],
        ["b", "inner", "first"],
        ["b", "inner", "second"],
        ["b", "inner", "second", 0],
    ]


def test_a_wrapper_counts_as_the_object_inside_it() -> None:
    linear = nn.Linear(1, 1)
    (_, found) = containers([nn.DataParallel(linear)])
    assert found.path == [0]
    assert found.owner is linear


def test_tensors_caches_and_functions_are_not_containers() -> None:
    assert paths([torch.zeros(2), paths, "text", type, Inner(cache=Inner())]) == [[], [4]]


def test_a_module_that_has_a_dtype_is_a_container() -> None:
    class Typed(nn.Module):
        dtype = torch.float32

    assert paths([Typed()]) == [[], [0]]


def test_computed_slots() -> None:
    module = nn.Module()
    module.register_buffer("b", torch.zeros(1), persistent=False)
    module.register_buffer("a", torch.zeros(1), persistent=False)
    module.register_buffer("kept", torch.zeros(1))
    (container,) = containers(module)
    assert list(computed(container)) == ["b", "a"]
    (container,) = containers(Inner(mask=1))
    assert computed(container) == {"mask": 1, "cache": None}
    assert computed(container, ["computed"]) == {"mask": 1}
