"""Names of tensors as a tree of modules, each with the sizes of all tensors below it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from caten_sd.mapping.key_templates import Shape

Sizes = tuple[int, int]  # how many tensors, and a sum over their sizes that no order changes

_MOST_LEVELS = 30  # below that, what is left of a name is one part
_SEPARATORS = re.compile(r"[./]")


@dataclass(eq=False)
class NameNode:
    """A module, or a tensor, with all below it; one that holds but one other is that one."""

    name: str
    sizes: Sizes
    parent: NameNode | None = None
    inner: list[NameNode] = field(default_factory=list)

    @property
    def is_tensor(self) -> bool:
        """Whether this is a tensor."""
        return not self.inner

    def name_in(self, outer: NameNode) -> str:
        """Return the name without that of a module around it."""
        return self.name[len(outer.name) :]

    def below(self) -> Iterator[NameNode]:
        """Yield all modules and tensors in this one, each before what is in it."""
        waiting = self.inner[::-1]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.inner[::-1]


def name_tree(shapes: Mapping[str, Shape]) -> NameNode:
    """Return the tree of some names; only the sizes above 1 of a tensor count, in no order.

    >>> tree = name_tree({"h.0.attn.q": (2, 2), "h.0.attn.k": (2, 2), "h.1.attn.q": (2, 2)})
    >>> [(node.name, node.sizes[0]) for node in tree.below()]
    [('h', 3), ('h.0.attn', 2), ('h.0.attn.q', 1), ('h.0.attn.k', 1), ('h.1.attn.q', 1)]
    """
    root = NameNode("", (0, 0))
    split = [(_SEPARATORS.split(name, _MOST_LEVELS), name) for name in shapes]
    waiting: list[tuple[NameNode, int, list[tuple[list[str], str]]]] = [(root, 0, split)]
    made: list[NameNode] = []
    while waiting:
        outer, depth, names = waiting.pop()
        for own in _by_part(names, depth):
            if len(own) == 1:
                name = own[0][1]
                node = NameNode(name, (1, _sum(shapes[name])), outer)
            else:
                inner = _common(own, depth)
                end = len(".".join(own[0][0][:inner]))
                node = NameNode(own[0][1][:end], (0, 0), outer)
                waiting.append((node, inner, own))
            outer.inner.append(node)
            made.append(node)
    for node in reversed(made):
        if node.parent is not None:
            count, total = node.parent.sizes
            node.parent.sizes = (count + node.sizes[0], (total + node.sizes[1]) % (1 << 64))
    return root


def _by_part(
    names: Iterable[tuple[list[str], str]], depth: int
) -> Sequence[list[tuple[list[str], str]]]:
    found: dict[str | int, list[tuple[list[str], str]]] = {}
    for n, each in enumerate(names):
        parts = each[0]
        # A name that ends is a tensor of its own: "a.b" and "a/b" are two.
        found.setdefault(parts[depth] if depth < len(parts) else n, []).append(each)
    return list(found.values())


def _common(names: Sequence[tuple[list[str], str]], depth: int) -> int:
    """Return how many of their parts all of some names begin with."""
    first, last = min(names)[0], max(names)[0]
    end = depth
    while end < min(len(first), len(last)) and first[end] == last[end]:
        end += 1
    return end


def _sum(shape: Shape) -> int:
    return hash(tuple(sorted(n for n in shape if n != 1))) % (1 << 64)
