"""Choose the tree of a nested checkpoint that is the model: by its root, or by structure.

Nothing is lost by the choice: a tree is taken out of an envelope only if what lies around it is
known to be something else (an optimizer, a counter, options, the state of a random generator).
Where that is not known, all of the file is the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from caten_sd.errors import FormatError, StateDictError
from caten_sd.errors.printable import one_line
from caten_sd.files.tensor_search import TensorSearch, is_row_of_bytes
from caten_sd.files.tree_at import tree_at
from caten_sd.state.grouping import LONGEST_KEY
from caten_sd.state.keys import joined_key
from caten_sd.state.leaf import Opaque, spec_or_none
from caten_sd.state.leaf_table import LeafTable
from caten_sd.state.training_keys import COMPONENTS, MODEL, STEP, VALUES, is_training
from caten_sd.state.tree import MAX_DEPTH, Tree, flatten, is_container, items
from caten_sd.wording import first_few

# Exact names that trainers write, in lower case.
MODEL_NAMES = {"model", "models", "module", "net", "network", "params", "weights"}
MODEL_NAMES |= {"state_dict", "model_state_dict", "model_state"}
MODEL_NAMES |= {"ema", "ema_model", "model_ema", "ema_state_dict"}
OPTIMIZER_NAMES = {"optimizer", "optimizers", "optimizer_state_dict", "opt_state"}
OPTIMIZER_NAMES |= {"optimizer_state", "optimizer_states"}
PROGRESS_NAMES = {"step", "steps", "global_step", "num_steps", "num_updates", "epoch", "epochs"}
PROGRESS_NAMES |= {"iter", "iters", "iter_num", "iteration", "iterations", "lr"}
PROGRESS_NAMES |= {"loss", "best_loss", "val_loss", "best_val_loss", "train_loss"}
PROGRESS_NAMES |= {"best_acc", "best_val_acc", "best_fitness", "best_metric", "best_score"}


def model_tree(contents: Any, source: str, root: str | None = None) -> Tree:
    """Return the one tree that could be a model, or the one at ``root``; FormatError otherwise.

    The root "" is all of the file.
    """
    try:
        if root is not None:
            return _with_leaves(flatten(tree_at(contents, root, source), root), source)
        trees = _trees(contents)
    except StateDictError as error:
        raise FormatError(source, str(error)) from error
    if len(trees) == 1:
        return _with_leaves(trees[0], source)
    from caten_sd.state.quoting import root_choice  # for this error alone

    listed = first_few([one_line(each, LONGEST_KEY) for each in trees], 8)
    raise FormatError(
        source,
        f"{len(trees)} trees in it could be the model: {listed}",
        f"choose one, as {root_choice(trees[0].root)}, or take all of it, as {root_choice('')}",
    )


def _with_leaves(tree: Tree, source: str) -> Tree:
    """Return the tree; FormatError if it holds no tensor, but something that cannot be read."""
    if not tree.leaves:
        for key, value in tree.others.items():
            if type(value) is Opaque:  # objects of classes are listed by `show`
                held = f"{one_line(key, LONGEST_KEY)!r} is {one_line(value.name, LONGEST_KEY)!r}"
                raise FormatError(
                    source,
                    f"none of it can be read as a tensor: {held}",
                    "save its tensors by themselves, with the program that wrote it",
                )
    return tree


def is_one_tree(contents: Any) -> bool:
    """Return whether all of a nested mapping of leaves would be taken for the model.

    >>> is_one_tree({"encoder": {"w": 1}}), is_one_tree({"model": {"a.b": 1}, "step": 1})
    (True, True)
    """
    try:
        return [tree.root for tree in _trees(contents)] == [""]
    except StateDictError:
        return False


def _trees(contents: Any) -> list[Tree]:
    """Return the trees that could be the model; all of the contents if none could."""
    is_flat = isinstance(contents, LeafTable) or not any(
        is_container(child) for _, child in items(contents)
    )
    if not is_flat and (training := _training_state(contents)) is not None:
        return [training]
    found = [] if is_flat else list(_candidates(contents, "", 0, TensorSearch()))
    return found or [flatten(contents, "")]


def _training_state(contents: Any) -> Tree | None:
    """Return a training state as one tree, also from a format that nests its keys; or None."""
    if not isinstance(contents, Mapping) or not {MODEL[:-1], STEP} <= set(contents):
        return None
    tree = flatten(contents, "")
    values = any(f"{part}.{VALUES}" in tree.leaves for part in COMPONENTS)
    return tree if values and is_training(tree.leaves) else None


def _candidates(node: Any, root: str, depth: int, search: TensorSearch) -> Iterator[Tree]:
    """Yield the trees of parameters in an envelope; the node itself if it is not an envelope."""
    if depth > MAX_DEPTH or not search.below(node).holds_parameters:
        return
    if not is_envelope(node, search):
        yield flatten(node, root)
        return
    for name, child in items(node):
        if is_container(child) and not is_optimizer(name, child):
            yield from _candidates(child, joined_key(root, name), depth + 1, search)


def is_envelope(node: Any, search: TensorSearch) -> bool:
    """Return whether a node wraps trees of parameters, as {"model": ..., "epoch": 3} does.

    A parameter in the node itself says that it does not. Otherwise an optimizer's state says so, or
    dotted keys in one of the trees, since a flat state dict is not a part of a nested one, or a
    tree that has a model's name next to values that are not tensors, or to progress.
    """
    if not isinstance(node, Mapping):
        return False
    children = dict(items(node))
    trees = {name for name, child in children.items() if search.below(child).holds_parameters}
    trees = {name for name in trees if is_container(children[name])}
    loose = {name: child for name, child in children.items() if not is_container(child)}
    if not trees or any(_is_parameter(name, child) for name, child in loose.items()):
        return False
    if any(_has_optimizer_keys(children[name]) for name in children):
        return True
    if any(search.below(children[name]).dotted for name in trees):
        return True
    named = {name.lower() for name in trees}
    progress = any(name.lower() in PROGRESS_NAMES for name in loose)
    options = any(search.below(children[name]).other for name in children.keys() - trees)
    training = not OPTIMIZER_NAMES.isdisjoint(name.lower() for name in children)
    return progress or (not MODEL_NAMES.isdisjoint(named) and (options or training))


def _is_parameter(name: str, leaf: Any) -> bool:
    """Return whether a leaf is a tensor that may be a model's, and neither progress nor a seed."""
    known = spec_or_none(leaf)
    if known is None or name.lower() in PROGRESS_NAMES:
        return False
    return not is_row_of_bytes(known)


def is_optimizer(name: str, node: Any) -> bool:
    """Return whether a node in an envelope is an optimizer's state, by its keys or its exact name.

    >>> is_optimizer("optics", {"w": 1}), is_optimizer("o", {"state": {}, "param_groups": []})
    (False, True)
    """
    return name.lower() in OPTIMIZER_NAMES or _has_optimizer_keys(node)


def _has_optimizer_keys(node: Any) -> bool:
    """Return whether a node, or the first one in a list, has the two keys of torch's optimizers."""
    first = node[0] if isinstance(node, (list, tuple)) and node else node
    return isinstance(first, Mapping) and "state" in first and "param_groups" in first
