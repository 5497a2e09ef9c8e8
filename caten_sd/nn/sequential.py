"""Sequential and defsequence: models that run their nodes one after another."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, ParamSpec

import attrs

from caten_sd.errors import ModelError
from caten_sd.nn.module import Module
from caten_sd.objects.call import call
from caten_sd.objects.extract import children, to_state_dict
from caten_sd.state.keys import Pair, Path

P = ParamSpec("P")
Node = Callable[..., Any]


@attrs.define(init=False)
class Sequential(Module):
    """A model that runs its nodes in order; a node is a module, ours or torch's, or a function.

    Its keys are those of ``torch.nn.Sequential``: "0.weight", not "nodes.0.weight".
    """

    slot: ClassVar[str | None] = None

    nodes: list[Node]

    def __init__(self, *nodes: Node) -> None:
        for index, node in enumerate(nodes):
            if not callable(node):
                raise ModelError(
                    f"node {index} of a sequence is {node!r}, which cannot be called; pass modules "
                    f"and functions"
                )
        self.nodes = list(nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def __setitem__(self, index: int, node: Node) -> None:
        self.nodes[index] = node

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getattr__(self, name: str) -> Node:
        # Reached only by names that are not attributes. A load follows the path of a defsequence,
        # whose elements are such names: "MLP.0".
        slot, _, index = name.rpartition(".")
        if slot and slot == type(self).slot and index.isdecimal() and int(index) < len(self):
            return self.nodes[int(index)]
        raise AttributeError(f"{type(self).__name__} has no slot {name!r}")


@call.register(Sequential)
def run_in_order(model: Sequential, x: Any) -> Any:
    """Pass the output of each node to the next one."""
    for node in model.nodes:
        x = node(x)
    return x


@to_state_dict.register(Sequential)
def sequential_pairs(model: Sequential, parent: Path, /) -> list[Pair]:
    """Return pairs whose paths have the node's number, and not the name of the list."""
    slot = model.slot
    names = range(len(model)) if slot is None else [f"{slot}.{i}" for i in range(len(model))]
    return children(model, parent, zip(names, model.nodes, strict=True))


def defsequence(nodes: Callable[P, Iterable[Node]]) -> Callable[P, Sequential]:
    """Make a Sequential class from a function that returns the nodes of an instance.

    It is named after Caten's ``defsequence`` and gives the same keys, from the class and the node's
    number: "MLP.0.weight" here, and "mlp.0.weight" by `lisp_style_dict_key`, as in Caten.

    >>> from caten_sd.nn import Linear, ReLU
    >>> @defsequence
    ... def MLP(n_in, hidden, n_out):
    ...     return Linear(n_in, hidden), ReLU(), Linear(hidden, n_out)
    >>> [type(node).__name__ for node in MLP(784, 128, 10)]
    ['Linear', 'ReLU', 'Linear']
    """

    @functools.wraps(nodes)
    def init(self: Sequential, *args: P.args, **options: P.kwargs) -> None:
        Sequential.__init__(self, *nodes(*args, **options))

    name = nodes.__name__
    copied = {key: getattr(nodes, key) for key in ("__doc__", "__module__", "__qualname__")}
    made = type(name, (Sequential,), {"__init__": init, "slot": name, **copied})
    return attrs.define(made, init=False)
