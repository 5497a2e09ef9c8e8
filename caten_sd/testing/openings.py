"""Clauses on an open file: what is read when, by whom, and what is left when it is closed."""

from __future__ import annotations

import importlib.util
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from caten_sd.errors import CatenError
from caten_sd.state.leaf import Numpy, Torch, as_array, spec
from caten_sd.testing.clause import clause
from caten_sd.testing.measures import bytes_touched
from caten_sd.testing.samples import small_model
from caten_sd.testing.subject import Subject, copies, require, require_equal

_COUNT, _ROWS, _COLUMNS = 8, 8192, 64


def _large_model() -> dict[str, Any]:
    shape = _ROWS, _COLUMNS
    return {f"w{n}": np.random.default_rng(n).random(shape) for n in range(_COUNT)}


@clause(lazy=True)
def opening_reads_headers(subject: Subject, /) -> None:
    """Opening a file and asking for shapes and dtypes reads headers and no data."""
    given = _large_model()
    whole = sum(array.nbytes for array in given.values())
    subject.write(given)
    with bytes_touched() as touched, subject.opened() as found:
        loaded = [key for key, leaf in found.items() if isinstance(leaf, np.ndarray)]
        require(not loaded, f"{loaded[:1]} is a numpy.ndarray, whose data is read already")
        require(spec(found["w3"]).shape == (_ROWS, _COLUMNS), "a shape is not as given")
        count = sum(touched)
    require(count < whole / 16, f"opening reads {count:,} bytes of {whole:,}")


@clause(lazy=True)
def slices_read_their_rows(subject: Subject, /) -> None:
    """A slice of a leaf has the values of its rows, and reads only those."""
    given = _large_model()
    whole = sum(array.nbytes for array in given.values())
    subject.write(given)
    with subject.opened() as found, bytes_touched() as touched:
        for key, index in {"w3": slice(100, 102), "w5": 7, "w6": slice(10, 20, 5)}.items():
            rows = as_array(Numpy(), found[key][index])
            require(np.array_equal(rows, given[key][index]), f"{key}[{index}] has other values")
        count = sum(touched)
    require(count < whole / 160, f"7 rows take {count:,} bytes of {whole:,}")


@clause
def slices(subject: Subject, /) -> None:
    """A slice by indices and slices of positive step has the values of numpy's."""
    given = small_model()
    subject.write(given)
    indices: tuple[Any, ...] = (0, -1, slice(1, 2), slice(None, None, 2), (slice(1, None), 0), ...)
    with subject.opened() as found:
        for key, index in ((key, each) for key in ("h.0.mlp.w", "a.weight") for each in indices):
            part = as_array(Numpy(), found[key][index])
            require(np.array_equal(part, given[key][index]), f"{key}[{index}] has other values")


@clause
def streaming(subject: Subject, /) -> None:
    """With streaming=True, the same arrays are read."""
    subject.write(small_model())
    with subject.opened(streaming=True) as found:
        require_equal(copies(found), small_model())


@clause
def any_order(subject: Subject, /) -> None:
    """Leaves are read in any order, again, and by several threads at once."""
    given = {**small_model(), **{f"more.{n}": np.full(n + 1, n, "f4") for n in range(40)}}
    subject.write(given)
    with subject.opened() as found, ThreadPoolExecutor(4) as threads:
        for keys in (list(given), list(given)[::-1]):
            arrays = threads.map(lambda key: np.array(as_array(Numpy(), found[key])), keys)
            read = dict(zip(keys, arrays, strict=True))
            require_equal({key: read[key] for key in given}, given)


@clause
def closing_leaves_arrays(subject: Subject, /) -> None:
    """Arrays that were read stay as they are when the file is closed, also twice."""
    given = small_model()
    subject.write(given)
    found = subject.opened()
    kinds = [Numpy(), *([Torch()] if importlib.util.find_spec("torch") else [])]
    whole = [{key: as_array(kind, leaf) for key, leaf in found.items()} for kind in kinds]
    parts = [{key: as_array(kind, leaf[::2]) for key, leaf in found.items()} for kind in kinds]
    found.close()
    found.close()
    for arrays in whole:
        require_equal(arrays, given)
    for arrays in parts:
        require_equal(arrays, {key: array[::2] for key, array in given.items()})


@clause(lazy=True)
def closing_ends_reading(subject: Subject, /) -> None:
    """A leaf that is first read after the file was closed is refused, with the word "closed"."""
    subject.write(small_model())
    found = subject.opened()
    found.close()
    try:
        as_array(Numpy(), found["wte.weight"])
    except CatenError as error:
        require("closed" in str(error), f"the error does not say that it is closed: {error}")
    else:
        require(False, "it is read without an error")


@clause
def pickling(subject: Subject, /) -> None:
    """Each leaf can be pickled to another process, and has the same values there."""
    subject.write(small_model())
    with subject.opened() as found:
        data = pickle.dumps(dict(found))
    leaves = pickle.loads(data)
    require_equal(copies(leaves), small_model())
