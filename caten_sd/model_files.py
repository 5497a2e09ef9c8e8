"""Save a model to a file, and load a file into a model: two verbs in one call each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.loading.file_layout import as_library_saves
from caten_sd.loading.load import load_state_dict
from caten_sd.loading.policy import Patterns, Repair
from caten_sd.objects.extract import get_state_dict
from caten_sd.objects.slots import Kinds
from caten_sd.state.keys import KeyMapper, pytorch_style_dict_key
from caten_sd.state.options import checked_options
from caten_sd.state.state_dict import StateDict

if TYPE_CHECKING:  # all layouts come with it
    from caten_sd.files.format import Format
    from caten_sd.mapping.layout import Layout

T = TypeVar("T")


@checked_options()
def save(
    obj: Any,
    location: str | os.PathLike[str],
    *,
    key_mapper: KeyMapper = pytorch_style_dict_key,
    layout: str | Layout | None = None,
    from_layout: str | Layout | None = None,
    format: Format | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    digests: bool = False,
    max_shard_size: int | str | None = None,
    include: Kinds = (),
) -> None:
    """Write the state of an object to a file: ``get_state_dict``, and then ``write_state_dict``.

    ``layout`` is the layout to write, and ``from_layout`` the one that the object's keys are in,
    as for ``to_layout``; what does not match it is a LayoutWarning. ``max_shard_size`` ("5GB") is
    for a folder of shards, a location that ends in "/". The other options are those of the verbs.

    A model of transformers or peft is written as its own library writes it, so that this library
    can load the file: of a PeftModel that is the active adapter alone. The names and tensors of the
    object itself are written by ``write_state_dict(get_state_dict(obj), location)``.

    >>> import numpy, tempfile
    >>> file = tempfile.mkdtemp() + "/w.safetensors"
    >>> save({"w": numpy.ones(2)}, file)
    >>> load({"w": numpy.zeros(2)}, file)
    {'w': array([1., 1.])}
    """
    state = get_state_dict(obj, key_mapper=key_mapper, include=include)
    if from_layout is None:
        state = as_library_saves(obj, state)
    write_state_dict(
        _in_layout(state, layout, from_layout),
        location,
        format=format,
        metadata=metadata,
        digests=digests,
        **({} if max_shard_size is None else {"max_shard_size": max_shard_size}),
    )


@checked_options()
def load(
    obj: T,
    location: str | os.PathLike[str],
    *,
    root: str | None = None,
    format: Format | str | None = None,
    streaming: bool = False,
    verify: bool = False,
    layout: str | Layout | None = None,
    from_layout: str | Layout | None = None,
    silent: bool = False,
    key_mapper: KeyMapper = pytorch_style_dict_key,
    strict: bool = False,
    assign: bool = False,
    allow_missing: Patterns = (),
    allow_unexpected: Patterns = (),
    on_mismatch: Mapping[str, Repair] | None = None,
    rename: Mapping[str, str] | None = None,
    dtype: Any = None,
    map_location: Any = None,
    check_values: bool = False,
    include: Kinds = (),
) -> T:
    """Load a file into an object, by default leniently: what does not fit is only warned about.

    Returns the same object, changed, and closes the file: ``read_state_dict``, and then
    ``load_state_dict``. ``layout`` is the layout that the object's keys are in, and
    ``from_layout`` that of the file, as for ``to_layout``. ``root``, ``format``, ``streaming`` and
    ``verify`` are those of ``read_state_dict``, the other options those of ``load_state_dict``.
    """
    with read_state_dict(
        location, root=root, format=format, streaming=streaming, verify=verify
    ) as found:
        return load_state_dict(
            obj,
            _in_layout(
                found,
                layout,
                from_layout,
                strict=strict,
                silent=silent,
                prefix=_prefix(obj, layout, key_mapper),
            ),
            silent=silent,
            key_mapper=key_mapper,
            strict=strict,
            assign=assign,
            allow_missing=allow_missing,
            allow_unexpected=allow_unexpected,
            on_mismatch=on_mismatch,
            rename=rename,
            dtype=dtype,
            map_location=map_location,
            check_values=check_values,
            include=include,
        )


def _prefix(obj: Any, layout: str | Layout | None, key_mapper: KeyMapper) -> str | None:
    """Return the prefix of the layout that an object's keys have; None if there is only one."""
    if layout is None:
        return None
    from caten_sd.mapping.known import find_layout

    found = find_layout(layout)
    if len(found.prefixes) == 1:
        return None
    return found.prefix_in(get_state_dict(obj, key_mapper=key_mapper).keys())


def _in_layout(
    state_dict: StateDict,
    layout: str | Layout | None,
    from_layout: str | Layout | None,
    **options: Any,
) -> StateDict:
    if layout is None and from_layout is None:
        return state_dict
    from caten_sd.mapping.layout_plan import to_layout
    from caten_sd.mapping.refusals import refuse_source_alone

    refuse_source_alone(layout, from_layout)
    return to_layout(state_dict, layout or "", from_layout=from_layout, **options)
