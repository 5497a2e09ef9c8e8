"""The operations of transformers' conversions, each as an operation of a layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from caten_sd.mapping.assembly import Concat, Split, Stack
from caten_sd.mapping.operations import Identity, Operation, Transpose
from caten_sd.mapping.rearrange import Each, Rearrange
from caten_sd.state.steps import Shape

INDEX = "e"  # captures the place of a tensor in a stack


@attrs.frozen
class Tensors:
    """What a conversion has made so far: the library's patterns for the tensors, and their shapes.

    ``count`` is how many of each there are in the file, where they are still to be stacked.
    """

    patterns: tuple[str, ...]
    shapes: tuple[Shape, ...]
    count: int


@attrs.frozen
class Surroundings:
    """What an operation may ask for besides its tensors: the targets, their shapes, the config."""

    targets: tuple[str, ...]
    target_shapes: tuple[Shape, ...]
    config: Any


Translated = tuple[Operation, Tensors]


def operation_of(operation: Any, tensors: Tensors, around: Surroundings) -> Translated | None:
    """Return an operation of transformers and what it makes; None if it is not known here."""
    translate = _TRANSLATIONS.get(type(operation).__name__)
    return None if translate is None else translate(operation, tensors, around)


def _merged(operation: Any, tensors: Tensors, around: Surroundings) -> Translated:
    at = operation.dim
    shapes = tuple((*each[:at], tensors.count, *each[at:]) for each in tensors.shapes)
    patterns = around.targets if len(shapes) == 1 else tensors.patterns
    return Stack(INDEX, at), Tensors(patterns, shapes, 1)


def _concatenated(operation: Any, tensors: Tensors, around: Surroundings) -> Translated:
    lengths = tuple(shape[operation.dim] for shape in tensors.shapes)
    made = Tensors(around.targets, (_resized(tensors.shapes[0], operation.dim, sum(lengths)),), 1)
    return (Concat(lengths, operation.dim) if len(lengths) > 1 else Identity()), made


def _chunked(operation: Any, tensors: Tensors, around: Surroundings) -> Translated:
    extent, parts = tensors.shapes[0][operation.dim], len(around.targets)
    step = -(-extent // parts)  # as torch.chunk, of which the last may be shorter
    lengths = [min(step, extent - n * step) for n in range(parts)]
    return _cut(operation.dim, tensors, around, lengths)


def _split(operation: Any, tensors: Tensors, around: Surroundings) -> Translated:
    lengths = [shape[operation.dim] for shape in around.target_shapes]
    return _cut(operation.dim, tensors, around, lengths)


def _cut(axis: int, tensors: Tensors, around: Surroundings, lengths: list[int]) -> Translated:
    shapes = tuple(_resized(tensors.shapes[0], axis, length) for length in lengths)
    return Split(tuple(lengths), axis), Tensors(around.targets, shapes, 1)


def _transposed(operation: Any, tensors: Tensors, around: Surroundings) -> Translated:
    (shape,) = tensors.shapes
    patterns = around.targets if len(around.targets) == 1 else tensors.patterns
    if operation.check_dims and shape == around.target_shapes[0]:
        return Identity(), Tensors(patterns, (shape,), 1)
    axes = list(range(len(shape)))
    one, other = operation.dim0, operation.dim1
    axes[one], axes[other] = axes[other], axes[one]
    return Transpose(tuple(axes)), Tensors(patterns, (tuple(shape[n] for n in axes),), 1)


def _interleaved(operation: Any, tensors: Tensors, around: Surroundings) -> Translated:
    names = [f"a{n}" for n in range(len(tensors.shapes[0]))]
    sides = [_with(names, operation.dim, text) for text in ("(half two)", "(two half)")]
    before, after = reversed(sides) if operation.inverse else sides
    made = attrs.evolve(tensors, patterns=around.targets[:1])
    return Rearrange(f"{before} -> {after}", two=2), made


def _with(names: list[str], axis: int, text: str) -> str:
    return " ".join([*names[:axis], text, *names[axis + 1 :]])


def _permuted(operation: Any, tensors: Tensors, around: Surroundings) -> Translated:
    """Return the order of rows that turns pairs of neighbors into halves of each head."""
    config = around.config
    if operation.subconfig_key is not None:
        config = getattr(config, operation.subconfig_key, config)
    heads = getattr(config, "num_attention_heads", 1)
    wanted = operation.permute_layer_names
    each = [
        _by_heads(len(shape), heads, operation.inverse)
        if wanted is None or any(name in pattern for name in wanted)
        else Identity()
        for pattern, shape in zip(tensors.patterns, tensors.shapes, strict=True)
    ]
    if len(each) > 1:
        return Each(*each), tensors
    alone = len(around.targets) == 1
    return each[0], attrs.evolve(tensors, patterns=around.targets if alone else tensors.patterns)


def _by_heads(rank: int, heads: int, inverse: bool) -> Operation:
    rest = " c" if rank > 1 else ""
    sides = f"(h d two){rest}", f"(h two d){rest}"
    before, after = reversed(sides) if inverse else sides
    return Rearrange(f"{before} -> {after}", h=heads, two=2)


def _flattened(operation: Any, tensors: Tensors, around: Surroundings) -> Translated:
    (shape,) = tensors.shapes
    sizes = {"c": operation.in_channels, **dict(zip("thw", operation.kernel_size, strict=True))}
    if len(shape) == 2:
        return Identity(), attrs.evolve(tensors, patterns=around.targets)
    length = operation.in_channels
    for size in operation.kernel_size:
        length *= size
    made = Tensors(around.targets, ((shape[0], length),), 1)
    return Rearrange("o c t h w -> o (c t h w)", **sizes), made


def _resized(shape: Shape, axis: int, length: int) -> Shape:
    return (*shape[:axis], length, *shape[axis + 1 :])


_TRANSLATIONS: Mapping[str, Callable[[Any, Tensors, Surroundings], Translated]] = {
    "MergeModulelist": _merged,
    "Concatenate": _concatenated,
    "Chunk": _chunked,
    "Split": _split,
    "Transpose": _transposed,
    "Interleave": _interleaved,
    "PermuteForRope": _permuted,
    "Conv3dToLinear": _flattened,
}
