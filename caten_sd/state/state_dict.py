"""StateDict: an ordered mapping of key to leaf that remembers paths, ties and metadata."""

from __future__ import annotations

from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)
from typing import TYPE_CHECKING, Any

from caten_sd.errors import StateDictError
from caten_sd.errors.printable import one_line, printable
from caten_sd.state.grouping import LONGEST_KEY
from caten_sd.state.keys import Path, renamed_path, split_key
from caten_sd.state.leaf import Opaque, spec_or_none
from caten_sd.state.leaf_table import LeafTable
from caten_sd.state.live_mapping import is_live_mapping
from caten_sd.wording import a_or_an, counted

if TYPE_CHECKING:
    from caten_sd.state.globs import Patterns
    from caten_sd.state.renames import Renamer, Rules
    from caten_sd.state.sheet import Sheet

OURS = "caten_sd."  # how the entries of the metadata begin that only this library writes
STAMP = "caten_sd.layout"  # the metadata entry with the name of the layout, if all keys match it


class StateDict(Mapping[str, Any]):
    """An ordered mapping of key to leaf.

    - ``entry``: the plain dict, as in Caten's struct; with it, all leaves of a file are made
    - ``paths``: the path of each key
    - ``ties``: each further name of a leaf -> its first name
    - ``metadata``: what a file says about itself
    - ``others``: values among the leaves that are not tensors (a number, an inert Opaque)
    - ``rest``: what a nested file holds outside the chosen tree
    - ``origin``: the kind of file; ``root`` is the chosen tree, "" for all of it
    - ``config``: what a config.json next to the file says
    - ``imports``: the names that a pickle in the file would have imported, each with whether it is
      plain data; nothing was imported

    >>> import numpy
    >>> print(StateDict({"wte.weight": numpy.zeros((32, 8))}))  # doctest: +ELLIPSIS
    #<STATE-DICT
    {
    wte.weight -> (32 8)
    } {...}>
    """

    def __init__(
        self,
        entry: Mapping[str, Any] | Iterable[tuple[str, Any]],
        *,
        paths: Mapping[str, Path] | Sequence[Path] | None = None,
        ties: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        others: Mapping[str, Any] | None = None,
        rest: Mapping[str, Any] | None = None,
        origin: str = "",
        root: str = "",
        config: Any = None,
        imports: Mapping[str, bool] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self._entry = entry if isinstance(entry, LeafTable) else dict(entry)
        # Paths in the entry's order become a dict only when asked for, which is rare.
        self._paths: Mapping[str, Path] | tuple[list[str], Sequence[Path]] | None = (
            (list(self._entry), paths) if isinstance(paths, Sequence) else paths
        )
        self._ties = ties
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.others: dict[str, Any] = dict(others or {})
        self.rest: dict[str, Any] = dict(rest or {})
        self.origin, self.root = origin, root
        self.config = config
        self.imports: dict[str, bool] = dict(imports or {})
        self._close = close

    def with_entry(
        self,
        entry: Mapping[str, Any],
        *,
        paths: Mapping[str, Path] | None = None,
        ties: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        others: Mapping[str, Any] | None = None,
        rest: Mapping[str, Any] | None = None,
    ) -> StateDict:
        """Return a state dict of other leaves, with this one's metadata, others, rest and origin.

        Paths and ties are found from the new leaves unless given; ``metadata`` replaces this one's.

        >>> state = StateDict({"w": 1}, metadata={"note": "kept"}, origin="npz")
        >>> state.with_entry({"v": 1}).metadata
        {'note': 'kept'}
        """
        return StateDict(
            entry,
            paths=paths,
            ties=ties,
            metadata=self.metadata if metadata is None else metadata,
            others=self.others if others is None else others,
            rest=self.rest if rest is None else rest,
            origin=self.origin,
            root=self.root,
            config=self.config,
            imports=self.imports,
            close=self.close,
        )

    def select(self, *patterns: str, exclude: Patterns = ()) -> StateDict:
        """Return the leaves whose keys match a pattern, without those that match ``exclude``.

        A pattern is a glob for whole keys, in which ``*`` crosses dots; without one, every key is
        taken. Nothing is read. A tied key whose first name is left out becomes an ordinary one.
        StateDictError if a pattern matches no key, or if a packed weight would lose its scales.

        >>> list(StateDict({"h.0.w": 1, "h.0.b": 2, "wte": 3}).select("h.*", exclude="*.b"))
        ['h.0.w']
        """
        from caten_sd.state.globs import chosen_keys  # most state dicts are never edited

        kept = chosen_keys(self.entry, patterns, exclude)
        return self._edited({key: key for key in kept})

    def rename(self, rules: Rules | Renamer) -> StateDict:
        """Return the leaves under new keys, in the same order; nothing is read.

        Rules map the beginning of a key to its new beginning, in whole segments: ``{"h.*.attn":
        "layers.*.attention"}``. ``{i}`` stands for an index, ``{name}`` for any one segment, ``*``
        for any text. A function gives the new name of each key. The ``others`` follow. The name of
        a layout in the metadata is dropped. StateDictError if two keys become one, if a rule
        matches no key, or if a packed weight and its scales are not renamed alike.

        >>> list(StateDict({"h.0.w": 1, "wte": 2}).rename({"h": "layers"}))
        ['layers.0.w', 'wte']
        """
        from caten_sd.state.renames import renamed

        names = renamed([*self.entry, *self.others], rules)
        if all(name == key for key, name in names.items()):
            return self._edited({key: key for key in self.entry})
        result = self._edited({key: names[key] for key in self.entry})
        result.others = {names[key]: value for key, value in self.others.items()}
        result.metadata.pop(STAMP, None)
        return result

    def _edited(self, names: Mapping[str, str]) -> StateDict:
        """Return the leaves of some keys under new names."""
        from caten_sd.state.packed_weights import refuse_parted
        from caten_sd.state.renames import renamed_ties

        entry = {name: self.entry[key] for key, name in names.items()}
        paths = {
            name: renamed_path(self.paths.get(key) or split_key(key), key, name)
            for key, name in names.items()
        }
        refuse_parted(self.entry, entry, names)
        return self.with_entry(entry, paths=paths, ties=renamed_ties(self.ties, names))

    @property
    def entry(self) -> dict[str, Any]:
        """The plain dict of key to leaf."""
        if isinstance(self._entry, LeafTable):
            self._entry = self._entry.made()
        return self._entry

    @property
    def paths(self) -> Mapping[str, Path]:
        """The path of each key; if none was recorded, the key split at its dots."""
        if self._paths is None:
            self._paths = {key: split_key(key) for key in self._entry}
        elif isinstance(self._paths, tuple):
            self._paths = dict(zip(*self._paths, strict=True))
        return self._paths

    @property
    def ties(self) -> Mapping[str, str]:
        """Each further name of a leaf -> its first name; found by identity if not recorded."""
        if self._ties is None:
            self._ties = find_ties(self.entry)
        return self._ties

    def __getitem__(self, key: str) -> Any:
        return self._entry[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entry)

    def __len__(self) -> int:
        return len(self._entry)

    def __contains__(self, key: object) -> bool:
        return key in self._entry

    # The plain dict's views are several times faster than those of Mapping.
    def keys(self) -> KeysView[str]:
        """Return the keys, in order."""
        return self._entry.keys()

    def values(self) -> ValuesView[Any]:
        """Return the leaves, in order."""
        return self.entry.values()

    def items(self) -> ItemsView[str, Any]:
        """Return (key, leaf), in order."""
        return self.entry.items()

    def close(self) -> None:
        """Close the file that holds the leaves; arrays already read stay valid."""
        if self._close is not None:
            self._close()

    def __enter__(self) -> StateDict:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        names = [printable(key) for key in self.entry]
        width = min(max(map(len, names), default=0), LONGEST_KEY)
        shapes = map(shape_text, self.entry.values())
        lines = [f"{name:<{width}} -> {text}" for name, text in zip(names, shapes, strict=True)]
        return "\n".join(["#<STATE-DICT", "{", *lines, f"}} {{{id(self):X}}}>"])

    def sheet(self) -> Sheet:
        """Return the sheet of a notebook: the tensors and the other values, in groups."""
        from caten_sd.state.leaf_rows import leaf_row
        from caten_sd.state.sheet import Sheet
        from caten_sd.state.sheet_groups import SheetGroup, SheetRow

        tensors, others = [], []
        for key, leaf in self.entry.items():
            if (known := spec_or_none(leaf)) is not None:
                tensors.append(leaf_row(key, known, self.ties.get(key)))
            else:
                others.append(SheetRow(key, shape_text(leaf)))
        groups = [SheetGroup("tensors", tensors), SheetGroup("other values", others)]
        return Sheet("state dict", f"StateDict, {counted(len(self), 'key')}", groups=groups)

    def _repr_html_(self) -> str:
        return self.sheet()._repr_html_()


def as_state_dict(state_dict: Mapping[str, Any]) -> StateDict:
    """Return a StateDict for any mapping of str to leaf; the mapping is not changed."""
    if isinstance(state_dict, StateDict):
        return state_dict
    if not isinstance(state_dict, Mapping) or is_live_mapping(state_dict):
        raise StateDictError(
            f"a state dict is a mapping of key to leaf, not {a_or_an(type(state_dict).__name__)}; "
            f"pass get_state_dict(obj) for a model, which save(obj, path) and load(obj, path) do "
            f"themselves, or read_state_dict(path) for a file"
        )
    for key in state_dict:
        if not isinstance(key, str):
            raise StateDictError(
                f"the key {key!r} is of type {type(key).__name__}; make every key a string"
            )
    return StateDict(state_dict)


def find_ties(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return each further name of a leaf that several keys share -> its first name.

    Only tensors are tied: two modules whose extra state is None share nothing.
    """
    if len(set(map(id, entry.values()))) == len(entry):
        return {}
    first: dict[int, str] = {}
    ties = {}
    for key, leaf in entry.items():
        name = first.setdefault(id(leaf), key)
        if name is not key and spec_or_none(leaf) is not None:
            ties[key] = name
    return ties


def shape_text(leaf: Any) -> str:
    """Return the shape as Lisp prints it, or the class of a value that is not a tensor.

    >>> import numpy
    >>> shape_text(numpy.zeros((96, 32))), shape_text("text")
    ('(96 32)', '<str>')
    """
    known = spec_or_none(leaf)
    if known is None:
        return f"<{one_line(leaf.name if isinstance(leaf, Opaque) else type(leaf).__name__)}>"
    return f"({' '.join(map(str, known.shape))})"
