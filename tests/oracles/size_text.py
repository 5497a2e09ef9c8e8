"""The text of a GGUF layout's sizes: the keys of its metadata, and the numbers they hold."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from caten_sd.mapping.known import layout_called
from tests.oracles.architecture_rows import Architecture

WIDTH = 91  # of a line, without the indent and the comma of an entry


def bare_sizes(text: str) -> dict[str, Any]:
    """Return the sizes of a text without the name of the architecture, which extend() renames.

    >>> bare_sizes("{'llama.block_count': 'n_layer'}")
    {'block_count': 'n_layer'}
    """
    sizes = ast.literal_eval(text)
    return {key.partition(".")[2]: size for key, size in sizes.items()}


def sizes_of(made: Architecture, said: str, name: str) -> dict[str, Any]:
    """Return the sizes of a GGUF: those of its pair, and those that its layout has by hand."""
    known = layout_called(name)
    by_hand = known[name].sizes if known else {}
    return {**{f"{said}.{key}": number for key, number in made.sizes.items()}, **by_hand}


def sizes_text(sizes: Mapping[str, Any]) -> str:
    """Return the text of sizes; a size that is too long for the line of its key has its own.

    >>> sizes_text({"a.b": "n", "a.c": 2})
    "{'a.b': 'n', 'a.c': 2}"
    """
    entries = [(f"{key!r}: ", repr(size)) for key, size in sizes.items()]
    texts = [
        f"{key}({size})" if len(key) + len(size) > WIDTH else key + size for key, size in entries
    ]
    return f"{{{', '.join(texts)}}}"
