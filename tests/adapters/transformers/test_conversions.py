"""Each operation of transformers' conversions against the library's own run of it, both ways."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import core_model_loading as library

from caten_sd.adapters.transformers.conversions import Surroundings, Tensors, operation_of
from caten_sd.mapping.operations import POSITION, Operand
from caten_sd.state.leaf import Torch, as_array

CONFIG = SimpleNamespace(num_attention_heads=2, part=SimpleNamespace(num_attention_heads=3))
# The operation, the shapes of its sources, and those of its targets.
CASES: dict[str, tuple[Any, list[tuple[int, ...]], list[tuple[int, ...]]]] = {
    "join": (library.Concatenate(0), [(2, 3), (4, 3)], [(6, 3)]),
    "join on another axis": (library.Concatenate(1), [(2, 3), (2, 5)], [(2, 8)]),
    "thirds": (library.Chunk(0), [(6, 2)], [(2, 2)] * 3),
    "thirds, the last shorter": (library.Chunk(0), [(8, 2)], [(3, 2), (3, 2), (2, 2)]),
    "lengths of the targets": (library.Split(0), [(8, 2)], [(4, 2), (2, 2), (2, 2)]),
    "transpose": (library.Transpose(1, 2), [(2, 3, 4)], [(2, 4, 3)]),
    "transpose from the end": (library.Transpose(-1, -2), [(2, 3, 4)], [(2, 4, 3)]),
    "transposed already": (library.Transpose(0, 1, check_dims=True), [(3, 2)], [(3, 2)]),
    "to be transposed": (library.Transpose(0, 1, check_dims=True), [(3, 2)], [(2, 3)]),
    "halves": (library.Interleave(1), [(2, 6, 3)], [(2, 6, 3)]),
    "halves back": (library.Interleave(0, inverse=True), [(6, 3)], [(6, 3)]),
    "heads": (library.PermuteForRope(), [(8, 3)], [(8, 3)]),
    "heads of a bias": (library.PermuteForRope(), [(8,)], [(8,)]),
    "heads of a part": (library.PermuteForRope("part"), [(12, 3)], [(12, 3)]),
    "heads back": (library.PermuteForRope(inverse=True), [(8, 3)], [(8, 3)]),
    "heads of one": (
        library.PermuteForRope(permute_layer_names=["s1"]),
        [(8, 3), (8, 3)],
        [(16, 3)],
    ),
    "a kernel of three axes": (library.Conv3dToLinear(2, (3, 1, 2)), [(4, 2, 3, 1, 2)], [(4, 12)]),
}


def operand(tensors: list[torch.Tensor]) -> Operand:
    if len(tensors) == 1:
        return {(): tensors[0]}
    return {((POSITION, n),): each for n, each in enumerate(tensors)}


def listed(result: Operand) -> list[torch.Tensor]:
    return [as_array(Torch(), result[at]) for at in sorted(result)]


@pytest.mark.parametrize("case", CASES)
def test_an_operation_gives_what_the_library_gives_and_can_be_undone(case: str) -> None:
    operation, given, wanted = CASES[case]
    tensors = [torch.randn(shape) for shape in given]
    sources = [f"s{n}" for n in range(len(given))]
    targets = [f"t{n}" for n in range(len(wanted))]
    parameters = {f"x.{name}": torch.empty(shape) for name, shape in zip(targets, wanted)}  # noqa: B905
    expected = operation.convert(
        dict(zip(sources, tensors, strict=True)),
        source_patterns=sources,
        target_patterns=targets,
        full_layer_name="x.t0",
        model=SimpleNamespace(get_parameter=parameters.__getitem__),
        config=CONFIG,
    )
    around = Surroundings(tuple(targets), tuple(wanted), CONFIG)
    translated = operation_of(operation, Tensors(tuple(sources), tuple(given), 1), around)
    assert translated is not None
    ours, made = translated
    result = ours.apply(operand(tensors))
    values = [each[0] if isinstance(each, list) else each for each in expected.values()]
    assert [each.equal(value) for each, value in zip(listed(result), values, strict=True)] == [
        True
    ] * len(values)
    assert made.shapes == tuple(tuple(each.shape) for each in values)
    assert made.patterns == tuple(expected)
    back = listed(ours.inverse().apply(result))
    assert all(each.equal(value) for each, value in zip(back, tensors, strict=True))


def test_a_stack_has_the_new_axis_where_the_library_has_it() -> None:
    tensors = Tensors(("s",), ((2, 3),), 4)
    around = Surroundings(("t",), ((4, 2, 3),), CONFIG)
    translated = operation_of(library.MergeModulelist(0), tensors, around)
    assert translated is not None
    assert translated[1] == Tensors(("t",), ((4, 2, 3),), 1)


def test_an_operation_that_is_not_known_here_is_told() -> None:
    around = Surroundings(("t",), ((2,),), CONFIG)
    assert operation_of(object(), Tensors(("s",), ((2,),), 1), around) is None
