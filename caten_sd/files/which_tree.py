"""Which tree of a nested checkpoint is the model: found by structure, asked where several fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from caten_sd.errors import FormatError, StateDictError
from caten_sd.state.keys import joined_key
from caten_sd.state.state_dict import spec_or_none
from caten_sd.state.training_keys import MODEL, PARTS, STEP, VALUES, is_training
from caten_sd.state.tree import MAX_DEPTH, Tree, _is_container, flatten, items


def model_tree(contents: Any, source: str, root: str | None = None) -> Tree:
    """Return the one tree that could be a model, or the one at ``root``; FormatError otherwise."""
    try:
        if root is not None:
            return flatten(_descend(contents, root, source), root)
        if (whole := _training(contents)) is not None:
            return whole
        trees = list(_candidates(contents, "", 0, _Below()))
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


def _is_optimizer(name: str, node: Any) -> bool:
    """Tell an optimizer's state, by torch's two keys or, where there are none, by its name."""
    first = node[0] if isinstance(node, (list, tuple)) and node else node
    if isinstance(first, Mapping) and {"state", "param_groups"} <= set(first):
        return True
    return name.lower().startswith("opt")


def _candidates(node: Any, root: str, depth: int, below: _Below) -> Iterator[Tree]:
    """Yield the trees below an envelope, or the node itself where it is none."""
    if depth > MAX_DEPTH or not _is_container(node):
        return
    if not _is_envelope(node, below):
        tree = flatten(node, root)
        if tree.leaves:
            yield tree
        return
    for name, child in items(node):
        if not _is_optimizer(name, child):
            yield from _candidates(child, joined_key(root, name), depth + 1, below)


def _is_envelope(node: Any, below: _Below) -> bool:
    """Tell a mapping around trees ({"model": ..., "epoch": 3}) from a tree of parameters.

    A tree of parameters holds tensors and trees, and nothing else; a flat state dict has dotted
    keys. So: containers that hold tensors, beside plain values, an optimizer, or with dotted keys.
    """
    trees, tensors, plain, dotted, optimizer = 0, 0, 0, False, False
    for name, value in items(node):
        if not _is_container(value):
            shape = getattr(value, "shape", None)
            tensors += bool(shape)
            plain += not shape  # a number, text, a 0-d tensor
        elif _is_optimizer(name, value):
            optimizer = True
        elif (found := below(value)).tensor:
            trees += 1
            dotted = dotted or found.dotted
    return trees > 0 and (plain > 0 or optimizer or dotted) and tensors <= trees


class _Found(NamedTuple):
    tensor: bool = False
    dotted: bool = False


class _Below:
    """Whether a tensor, and whether a dotted key, lies below a container; each is seen once.

    Without that, a file of two hundred bytes whose lists hold each other twice would take for ever.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Found] = {}

    def __call__(self, node: Any, depth: int = 0) -> _Found:
        if not _is_container(node):
            return _Found(tensor=spec_or_none(node) is not None)
        known = self._known.get(id(node))
        if known is None and depth < MAX_DEPTH:
            self._known[id(node)] = _Found()  # of a container that holds itself
            known = self._known[id(node)] = self._look(node, depth)
        return known or _Found()

    def _look(self, node: Any, depth: int) -> _Found:
        tensor = dotted = False
        for name, child in items(node):
            found = self(child, depth + 1)
            tensor = tensor or found.tensor
            dotted = dotted or found.dotted or ("." in name and found.tensor)
            if tensor and dotted:
                break
        return _Found(tensor, dotted)


def _descend(node: Any, root: str, source: str) -> Any:
    """Return the node at a dotted root; a key that itself holds dots is met by its longest name."""
    rest = root
    while rest:
        children = dict(items(node))
        names = [name for name in children if rest == name or rest.startswith(name + ".")]
        if not names and (below := _below(children, f"{rest}.")):
            return below
        if not names:
            raise FormatError(
                source, f"it has no tree {root!r}", f"its trees are {', '.join(children) or 'none'}"
            )
        name = max(names, key=len)
        node, rest = children[name], rest[len(name) + 1 :]
    return node


def _training(contents: Any) -> Tree | None:
    """Return all of a training state, which a format that nests its keys has in several trees."""
    if not isinstance(contents, Mapping) or not {MODEL[:-1], STEP} <= set(contents):
        return None
    tree = flatten(contents, "")
    values = any(f"{part}.{VALUES}" in tree.leaves for part in PARTS)
    return tree if values and is_training(tree.leaves) else None


def _below(children: Mapping[str, Any], start: str) -> dict[str, Any]:
    """Return the tree that lies below a part of dotted keys, as a training state has its model."""
    return {name[len(start) :]: child for name, child in children.items() if name.startswith(start)}
