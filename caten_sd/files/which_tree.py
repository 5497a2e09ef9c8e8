"""Choose the tree of a nested checkpoint that is the model: by its root, or by structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from caten_sd.errors import FormatError, StateDictError
from caten_sd.files.tensor_search import TensorSearch
from caten_sd.files.tree_at import tree_at
from caten_sd.state.keys import joined_key
from caten_sd.state.training_keys import COMPONENTS, MODEL, STEP, VALUES, is_training
from caten_sd.state.tree import MAX_DEPTH, Tree, flatten, is_container, items


def model_tree(contents: Any, source: str, root: str | None = None) -> Tree:
    """Return the one tree that could be a model, or the one at ``root``; FormatError otherwise."""
    try:
        if root is not None:
            return flatten(tree_at(contents, root, source), root)
        if (training := _training_state(contents)) is not None:
            return training
        trees = list(_candidates(contents, "", 0, TensorSearch()))
    except StateDictError as error:
        raise FormatError(source, str(error)) from error
    if len(trees) == 1:
        return trees[0]
    if not trees:
        return flatten(contents, "")
    raise FormatError(
        source,
        f"{len(trees)} trees in it could be the model: " + ", ".join(map(str, trees)),
        f"choose one, as root={trees[0].root!r} or --root {trees[0].root}",
    )


def _training_state(contents: Any) -> Tree | None:
    """Return a training state as one tree, also from a format that nests its keys; or None."""
    if not isinstance(contents, Mapping) or not {MODEL[:-1], STEP} <= set(contents):
        return None
    tree = flatten(contents, "")
    values = any(f"{part}.{VALUES}" in tree.leaves for part in COMPONENTS)
    return tree if values and is_training(tree.leaves) else None


def _candidates(node: Any, root: str, depth: int, search: TensorSearch) -> Iterator[Tree]:
    """Yield the trees of parameters in an envelope; the node itself if it is not an envelope."""
    if depth > MAX_DEPTH or not is_container(node):
        return
    if not _is_envelope(node, search):
        tree = flatten(node, root)
        if tree.leaves:
            yield tree
        return
    for name, child in items(node):
        if not _is_optimizer(name, child):
            yield from _candidates(child, joined_key(root, name), depth + 1, search)


def _is_envelope(node: Any, search: TensorSearch) -> bool:
    """Return whether a node wraps trees of parameters, as {"model": ..., "epoch": 3} does.

    A tree of parameters holds only tensors and trees, and a flat state dict has dotted keys. So a
    node is an envelope if it holds trees, and also plain values, an optimizer or dotted keys.
    """
    trees, tensors, plain, dotted, optimizer = 0, 0, 0, False, False
    for name, value in items(node):
        if not is_container(value):
            shape = getattr(value, "shape", None)
            tensors += bool(shape)
            plain += not shape  # a number, text, a 0-d tensor
        elif _is_optimizer(name, value):
            optimizer = True
        elif (found := search.below(value)).tensor:
            trees += 1
            dotted = dotted or found.dotted
    return trees > 0 and (plain > 0 or optimizer or dotted) and tensors <= trees


def _is_optimizer(name: str, node: Any) -> bool:
    """Return whether a node is an optimizer's state: it has torch's two keys, or such a name."""
    first = node[0] if isinstance(node, (list, tuple)) and node else node
    if isinstance(first, Mapping) and {"state", "param_groups"} <= set(first):
        return True
    return name.lower().startswith("opt")
