from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import CatenError
from caten_sd.state.dtype import DTYPES
from caten_sd.state.leaf import spec
from caten_sd.state.tiles import CoverageFault, Tile, TiledTensor, coverage_fault

Box = tuple[tuple[int, ...], tuple[int, ...]]


@st.composite
def tilings(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Box]]:
    """A shape, cut again and again at any place along any axis."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    boxes: list[Box] = [((0,) * len(shape), shape)]
    for _ in range(draw(st.integers(0, 6))):
        start, stop = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        axis = draw(st.integers(0, len(shape) - 1))
        cut = draw(st.integers(start[axis], stop[axis]))
        middle = tuple(cut if a == axis else n for a, n in enumerate(stop))
        behind = tuple(cut if a == axis else n for a, n in enumerate(start))
        boxes += [(start, middle), (behind, stop)]
    return shape, draw(st.permutations(boxes))


def tiled(array: Any, boxes: list[Box], opened: list[Box] | None = None) -> TiledTensor:
    def tile(box: Box) -> Tile:
        def read() -> Any:
            if opened is not None:
                opened.append(box)
            return array[tuple(slice(a, b) for a, b in zip(*box, strict=True))]

        return Tile(*box, read)

    dtype = DTYPES[array.dtype.name]
    return TiledTensor(dtype, list(map(tile, boxes)), [range(n) for n in array.shape])


def picks(axes: int) -> st.SearchStrategy[Any]:
    steps = st.none() | st.integers(1, 3)
    one = st.integers(-7, 7) | st.builds(slice, st.integers(-7, 7), st.integers(-7, 7), steps)
    return st.lists(one | st.just(slice(None)), max_size=axes).map(tuple)


@given(tilings(), st.data())
def test_indexing_is_numpys_on_the_whole(tiling: Any, data: st.DataObject) -> None:
    shape, boxes = tiling
    whole = np.arange(np.prod(shape), dtype="i4").reshape(shape)
    leaf, expected = tiled(whole, boxes), whole
    for _ in range(2):
        index = data.draw(picks(expected.ndim))
        try:
            expected = expected[index]
        except IndexError:
            with pytest.raises(IndexError):
                leaf[index]
            return
        leaf = leaf[index]
        assert spec(leaf).shape == leaf.shape == expected.shape
        np.testing.assert_array_equal(leaf.numpy(), expected)


@given(tilings())
def test_a_tiling_fits(tiling: Any) -> None:
    shape, boxes = tiling
    assert coverage_fault(shape, boxes) is None


@given(tilings(), st.data())
def test_any_box_too_few_or_too_many_is_found(tiling: Any, data: st.DataObject) -> None:
    shape, boxes = tiling
    number = data.draw(st.integers(0, len(boxes) - 1))
    if any(a == b for a, b in zip(*boxes[number], strict=True)):
        return  # an empty box covers nothing
    assert coverage_fault(shape, [*boxes, boxes[number]]) is not None
    found = coverage_fault(shape, boxes[:number] + boxes[number + 1 :])
    assert found is not None
    assert found.missing


def test_what_is_missing_is_said_in_runs() -> None:
    boxes = [((0, 0), (512, 8)), ((1024, 0), (2048, 8))]
    assert coverage_fault((2048, 8), boxes) == CoverageFault(
        0, [(0, 512), (1024, 2048)], [(512, 1024)], []
    )
    columns = [((0, 0), (4, 2)), ((0, 3), (4, 8))]
    assert coverage_fault((4, 8), columns) == CoverageFault(1, [(0, 2), (3, 8)], [(2, 3)], [])
    assert coverage_fault((4,), [((0,), (3,)), ((2,), (4,))]) == CoverageFault(0, [], [], [(2, 3)])


def test_no_axes_and_no_elements() -> None:
    assert coverage_fault((), [((), ())]) is None
    assert coverage_fault((), []) == CoverageFault(0, [], [(0, 1)], [])
    assert coverage_fault((), [((), ()), ((), ())]) == CoverageFault(0, [], [], [(0, 1)])
    assert coverage_fault((0, 4), []) is None
    assert tiled(np.array(3.0), [((), ())]).numpy() == 3
    assert TiledTensor(DTYPES["float32"], [], [range(0), range(4)]).numpy().shape == (0, 4)


def test_a_slice_opens_only_what_it_meets_and_one_tile_is_not_copied() -> None:
    whole = np.arange(32.0).reshape(8, 4)
    opened: list[Box] = []
    boxes = [((n, 0), (n + 2, 4)) for n in range(0, 8, 2)]
    leaf = tiled(whole, boxes, opened)
    part = leaf[4:6, 1:].numpy()
    assert opened == [boxes[2]]
    assert np.shares_memory(part, whole)
    assert not np.shares_memory(leaf.numpy(), whole)


def test_many_tiles_are_checked_in_time() -> None:
    side = 100
    boxes = [((r, c), (r + 1, c + 1)) for r in range(side) for c in range(side)]
    assert coverage_fault((side, side), boxes) is None
    assert coverage_fault((side, side), boxes[:-1]) == CoverageFault(1, [(0, 99)], [(99, 100)], [])


def test_boxes_that_overlap_in_many_layers_are_checked_in_time() -> None:
    size = 10_000
    tops = [((0, i), (i + 1, i + 1)) for i in range(size)]
    bottoms = [((i + 1, i), (size, i + 1)) for i in range(size - 1)]
    started = time.process_time()
    assert coverage_fault((size, size), [*tops, *bottoms]) is None
    assert coverage_fault((size, size), [*tops, *bottoms[1:]]) == CoverageFault(
        1, [(1, size)], [(0, 1)], []
    )
    many = [((0,) * 64, (2,) * 64)] * 2000
    assert coverage_fault((2,) * 64, many) == CoverageFault(0, [], [], [(0, 2)])
    assert time.process_time() - started < 10  # one layer after another took over 100 s


@given(st.data())
def test_a_fault_is_where_the_boxes_are_not_one(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    edges = st.tuples(*(st.tuples(st.integers(0, n), st.integers(0, n)) for n in shape))
    drawn = data.draw(st.lists(edges, max_size=4))
    boxes = [tuple(zip(*map(sorted, box), strict=True)) for box in drawn]
    counts = np.zeros(shape, int)
    for start, stop in boxes:
        counts[tuple(map(slice, start, stop))] += 1
    assert (coverage_fault(shape, boxes) is None) == bool((counts == 1).all())


def test_what_cannot_be() -> None:
    leaf = tiled(np.arange(4.0), [((0,), (4,))])
    with pytest.raises(IndexError, match="forward only"):
        leaf[::-1]
    huge = TiledTensor(DTYPES["float32"], [], [range(0), range(1 << 62)])
    with pytest.raises(CatenError, match="numpy cannot"):
        huge.numpy()
    assert leaf.torch().tolist() == [0, 1, 2, 3]
    assert np.asarray(leaf, "f4").dtype == np.float32
    assert len(leaf) == 4
    assert repr(leaf) == "TiledTensor(float64, [4], 1 tiles)"
