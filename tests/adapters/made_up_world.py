"""A world that the library does not know, and all that teaches it: one file, no edit elsewhere.

Its arrays cannot be changed, and its modules keep their slots in a table of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from caten_sd.loading.owners import OwnerHooks, hooks_of
from caten_sd.mapping.layer_kinds import StandardLayer
from caten_sd.mapping.operations import Transpose
from caten_sd.mapping.rows import Row
from caten_sd.objects.extract import to_state_dict
from caten_sd.objects.owner import Slot, put, slots_of
from caten_sd.objects.place import refusal, replacement
from caten_sd.state.keys import Pair
from caten_sd.state.leaf import Kind, Numpy, Spec, as_array, spec


class Grid:
    """An array whose numbers cannot be changed."""

    def __init__(self, array: Any) -> None:
        self._array = np.array(array)
        self._array.flags.writeable = False


class Net:
    """A module whose slots are in a table: name -> (value, whether it is trained)."""

    def __init__(self, **table: Any) -> None:
        self.table = {name: (value, True) for name, value in table.items()}
        self.table["steps"] = (Grid(0), False)


class Mixer(Net):
    """A dense layer, whose matrix has its inputs first."""


class GridKind(Kind):
    """Grid as a kind of array: ``leaf.to("grids")``."""

    __adapter__ = "grids"


@to_state_dict.register()
def _pairs(grid: Grid, parent: list[Any], /) -> list[Pair]:
    return [(parent, grid)]


@spec.register()
def _spec(grid: Grid, /) -> Spec:
    return spec(grid._array)


@as_array.register()
def _to_numpy(kind: Numpy, grid: Grid, /) -> Any:
    return grid._array


@as_array.register()
def _from_numpy(kind: GridKind, array: np.ndarray, /) -> Grid:  # type: ignore[type-arg]
    return Grid(array)


@refusal.register(Grid)
def _refusal(place: Grid, leaf: Any, /) -> str:
    return "a Grid cannot be changed: give its slot another"


@replacement.register(Grid)
def _replacement(
    place: Grid, leaf: Any, /, *, dtype: Any = None, location: Any = None, copy: bool = False
) -> Grid:
    array = as_array(Numpy(), leaf).reshape(spec(place).shape)
    return Grid(array if dtype is None else array.astype(dtype.name))


@slots_of.register(Net)
def _slots(net: Net, /) -> Iterator[Slot]:
    for name, (value, trained) in net.table.items():
        yield name, value, "state" if trained else "computed"


@put.register(Net)
def _put(net: Net, name: Any, value: Any, /) -> None:
    net.table[name] = (value, net.table[name][1])


class _MixerHooks(OwnerHooks):
    def layers(self) -> Sequence[StandardLayer]:
        return (StandardLayer("dense", (Row("weight", "mix", Transpose()), Row("bias", "shift"))),)


@hooks_of.register(Mixer)
def _hooks(mixer: Mixer, /) -> OwnerHooks:
    return _MixerHooks(mixer)
