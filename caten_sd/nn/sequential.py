"""Sequential and defsequence: models that run their nodes one after another."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec

import attrs

from caten_sd.errors import ModelError
from caten_sd.nn.module import Module
from caten_sd.objects.call import call
from caten_sd.objects.slots import inlined, slot

P = ParamSpec("P")
Node = Callable[..., Any]


@attrs.define(init=False)
class Sequential(Module):
    """A model that runs its nodes in order; a node is a module, ours or torch's, or a function.

    Its keys are those of ``torch.nn.Sequential``: "0.weight", not "nodes.0.weight". A subclass may
    declare another key for ``nodes``, or further slots.
    """

    nodes: list[Node] = inlined()

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


@call.register(Sequential)
def run_in_order(model: Sequential, x: Any) -> Any:
    """Pass the output of each node to the next one."""
    for node in model.nodes:
        x = node(x)
    return x


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
    made = type(name, (Sequential,), {"__init__": init, **copied})
    return attrs.define(made, these={"nodes": slot(key=name)}, init=False)
