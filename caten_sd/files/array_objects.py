"""The Python objects in an array of numpy: the tensors in their pickle come out, and nothing runs.

numpy pickles an array of dtype object; the format of pickles reads it, whatever is in it.
"""

from __future__ import annotations

from typing import Any

from caten_sd.encodings.npy import NpyHeader, npy_leaf
from caten_sd.errors import FormatError
from caten_sd.files.catalog import find_format
from caten_sd.files.format import Contents, read
from caten_sd.files.tensor_search import TensorSearch
from caten_sd.state.leaf import Opaque
from caten_sd.state.source import Source

_PICKLE = b"\x80"  # the first byte of every protocol that numpy has written


def array_contents(source: Source, header: NpyHeader) -> Contents:
    """Return the array of an .npy file: a leaf, or the tree of the objects in it.

    The only object of an array without axes is the tree itself. The tree is an Opaque if no tensor
    is in it. FormatError if the pickle is damaged or calls what no checkpoint needs.
    """
    if not header.holds_objects:
        return Contents(npy_leaf(source, header), {})
    window = source.window(header.start, source.size - header.start)
    if window.head(1) != _PICKLE:
        raise FormatError(
            source.name, "its array of Python objects is not a pickle", "get it again"
        )
    found = read(find_format(window), window)
    tree: Any = found.tree
    if header.shape == () and isinstance(tree, list) and len(tree) == 1:
        tree = tree[0]
    if not TensorSearch().below(tree).tensor:
        tree = Opaque(f"numpy.ndarray of {header.descr}", (header.shape,))
    return found._replace(tree=tree)
