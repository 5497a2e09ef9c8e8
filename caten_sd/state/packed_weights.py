"""Packed weights: tensors that mean nothing without the scales that lie next to them.

The names are those of GPTQ and AWQ, bitsandbytes (8 and 4 bits), fp8 with scales (DeepSeek,
compressed-tensors, ModelOpt), MXFP4 as in GPT-OSS, HQQ, quanto, and MLX.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from caten_sd.errors import NoApplicableMethodError, StateDictError
from caten_sd.state.leaf import spec

# A key of scales, and the keys that its packed weight may have; {} is what stands before it.
_SCALES = (
    (re.compile(r"(.*\.|)SCB", re.DOTALL), ("{}weight",)),
    (re.compile(r"(.*\.|)scales", re.DOTALL), ("{}qweight", "{}weight", "{}blocks")),
    (re.compile(r"(.*\.|)scale", re.DOTALL), ("{}W_q",)),
    (re.compile(r"(.*)\._scale", re.DOTALL), ("{}._data", "{}._data._data")),
    (re.compile(r"(.*)_scales", re.DOTALL), ("{}_blocks", "{}")),
    (re.compile(r"(.*?)_(?:global_)?scale(?:_inv|_2)?", re.DOTALL), ("{}", "{}_packed")),
    (re.compile(r"(.*)\.(?:absmax|nested_absmax|quant_map|quant_state\..*)", re.DOTALL), ("{}",)),
)
# What else belongs to a packed weight: its own key and a suffix, or a name next to it.
_AFTER = re.compile(
    r"(.*?)(?:[._](?:absmax|nested_absmax|quant_map|nested_quant_map|quant_state\..*|zero_point"
    r"|shape|g_idx)|_(?:global_)?scale(?:_inv|_2)?|_scales)",
    re.DOTALL,
)
_NEXT = re.compile(
    r"(.*\.|)(?:qweight|qzeros|scales|biases|g_idx|SCB|weight_format|pre_quant_scale"
    r"|(?:input|output)_(?:global_scale|scale|scale_ub|zero_point))",
    re.DOTALL,
)
_QUANTO = re.compile(r"(.*)\._(?:scale|shift)", re.DOTALL)
_NAMES = ("weight", "qweight", "weight_packed", "blocks", "weight._data", "weight._data._data")
# What HQQ states of a weight, each in a tensor.
_STATED = re.compile(
    r"(.*\.|)(?:W_q|scale|zero|nbits|group_size|shape|axis|packing|channel_wise|optimize|round_zero"
    r"|view_as_float|unpack_view_dtype|compute_dtype|quant_scale|quant_zero|offload_meta"
    r"|encoded_state_dict|stores_quant_config)",
    re.DOTALL,
)


def packed_keys(leaves: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of packed weights and of all that belongs to them, with the scales of each.

    >>> import numpy
    >>> weight, scales = numpy.zeros((2, 2), "int8"), numpy.zeros(2, "float32")
    >>> packed_keys({"fc.weight": weight, "fc.SCB": scales, "fc.bias": scales})
    {'fc.weight': 'fc.SCB', 'fc.SCB': 'fc.SCB'}
    """
    return _with_scales(leaves, {weight: scales for scales, weight in _pairs(leaves)})


def _with_scales(leaves: Mapping[str, Any], scales_of: Mapping[str, str]) -> dict[str, str]:
    if not scales_of:
        return {}
    found: dict[str, str] = {}
    for key in leaves:
        weight = next((weight for weight in _weights_of(key) if weight in scales_of), None)
        if weight is not None:
            found[key] = scales_of[weight]
    return found


def packed_groups(leaves: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the keys that belong to each packed weight, by the key of the weight.

    >>> import numpy
    >>> weight, scales = numpy.zeros((2, 2), "int8"), numpy.zeros(2, "float32")
    >>> packed_groups({"fc.weight": weight, "fc.SCB": scales, "fc.bias": scales})
    {'fc.weight': ['fc.SCB']}
    """
    weights = dict(_pairs(leaves))
    found: dict[str, list[str]] = {weight: [] for weight in weights.values()}
    scales_of = {weight: scales for scales, weight in weights.items()}
    for key, scales in _with_scales(leaves, scales_of).items():
        if key != weights[scales]:
            found[weights[scales]].append(key)
    return found


def refuse_parted(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]
) -> None:
    """Refuse an edit that parts a packed weight from its scales; ``names`` are those of what stays.

    >>> import numpy
    >>> weight, scales = numpy.zeros((2, 2), "int8"), numpy.zeros(2, "float32")
    >>> state = {"fc.weight": weight, "fc.SCB": scales}
    >>> refuse_parted(state, {"fc.weight": weight}, {"fc.weight": "fc.weight"})
    Traceback (most recent call last):
    caten_sd.errors.StateDictError: fc.weight would be without fc.SCB, which it is packed with; ...
    """
    packed = packed_keys(before)
    still = packed_keys(after) if packed else {}
    kept = {scales: key for key, scales in packed.items() if key in names}
    for key, scales in packed.items():
        if scales in kept and key not in names:
            raise StateDictError(
                f"{kept[scales]} would be without {key}, which it is packed with; take both or "
                f"neither, or dequantize it first, by to_floats or --dtype f16"
            )
    for key, scales in packed.items():
        if key in names and still.get(names[key]) != names[scales]:
            raise StateDictError(
                f"{key} would be {names[key]} and its scales in {scales} {names[scales]}, which "
                f"nothing recognizes as its own; rename both alike, or dequantize it first, "
                f"by to_floats or --dtype f16"
            )


def _pairs(leaves: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys of scales, each with the key of the packed weight that it belongs to."""
    for key in leaves:
        if "scale" not in key and not key.endswith(("SCB", "absmax")):
            continue
        for pattern, weights in _SCALES:
            if match := pattern.fullmatch(key):
                names = (weight.format(match[1]) for weight in weights)
                # A leaf that is not there is not asked for its spec, which costs an exception.
                there = (name for name in names if name in leaves)
                yield from ((key, name) for name in there if _is_weight(name, leaves))
                break


def _is_weight(name: str, leaves: Mapping[str, Any]) -> bool:
    """Return whether a leaf is a packed weight; HQQ may call its bytes floats."""
    is_table = name.endswith("W_q") and f"{name.removesuffix('W_q')}nbits" in leaves
    return is_table or is_packed(leaves[name])


def is_packed(leaf: Any) -> bool:
    """Return whether a leaf may be a packed weight: integers, or floats of a byte or less."""
    try:
        known = spec(leaf)
    except NoApplicableMethodError:  # it is not a tensor
        return False
    if not known.shape:
        return False
    narrow = known.dtype.kind == "float" and known.dtype.bits <= 8
    return narrow or known.dtype.kind in ("int", "uint")


def _weights_of(key: str) -> Iterator[str]:
    """Yield the keys of the weights that a key may be, or belong to."""
    yield key
    if match := _AFTER.fullmatch(key):
        yield from (match[1], f"{match[1]}_packed", f"{match[1]}_blocks")
    if match := _NEXT.fullmatch(key):
        yield from (f"{match[1]}{name}" for name in _NAMES)
    if match := _QUANTO.fullmatch(key):
        yield from (f"{match[1]}._data", f"{match[1]}._data._data")
    if match := _STATED.fullmatch(key):
        yield f"{match[1]}W_q"
