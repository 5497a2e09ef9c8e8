"""pt2: a program that ``torch.export.save`` wrote; its weights are read, and the program is not.

It is a stored zip. ``data/weights/MODEL_weights_config.json`` says for each key which member has
its bytes, its shape, strides and dtype. torch before 2.9 wrote ``data/weights/MODEL.pt`` instead,
and before 2.6 ``serialized_state_dict.pt`` at the top. Source: torch/export/pt2_archive/_package.py
(2.13). torch's own reader needs torch, builds the program and runs pickles; it is the oracle.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from caten_sd.encodings.archive_folder import ArchivedSource
from caten_sd.encodings.pickle.inert_values import brief
from caten_sd.encodings.zip_archive import ZipArchive, zip_names
from caten_sd.errors import FormatError
from caten_sd.files.catalog import find_format
from caten_sd.files.format import Contents, Format, read, recognize, write
from caten_sd.files.json_hooks import unique
from caten_sd.formats.torch.pickles import OPAQUE
from caten_sd.formats.torch.storage import DAMAGED, MAX_RATIO, Storage, byte_order
from caten_sd.formats.torch.types import ELEMENTS, ElementType
from caten_sd.state.indexing import is_shape
from caten_sd.state.json_text import parse_json
from caten_sd.state.leaf import Opaque
from caten_sd.state.source import Source
from caten_sd.wording import counted

MAX_CONFIG = 100_000_000  # bytes

_STRIDED = 7  # of torch.layout
_DTYPES = {
    **dict(enumerate(("uint8", "int8", "int16", "int32", "int64", "float16", "float32"), 1)),
    **dict(enumerate(("float64", "complex32", "complex64", "complex128", "bool", "bfloat16"), 8)),
    28: "uint16",
    29: "float8_e4m3fn",
    30: "float8_e5m2",
    31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz",
    33: "float8_e8m0fnu",
    34: "uint32",
    35: "uint64",
}

_FIRST = re.compile(r"(?:[^/]+/)?archive_format")
_WEIGHTS = re.compile(r"data/weights/(.+?)(_weights_config\.json|\.pt)", re.DOTALL)
_CONFIG = "_weights_config.json"
_CONSTANTS = "data/constants/{}_constants_config.json"
_OLD = ("serialized_state_dict.pt", "serialized_state_dict.json")
_READ = re.compile(
    r"data/weights/.*|data/constants/(tensor|custom_obj|opaque_obj)_[0-9]+|data/constants/.*\.json"
    r"|\.data/.*|archive_\w+|byteorder|version",
    re.DOTALL,
)


class _ListedTensor(NamedTuple):
    """Where the bytes of a key are: a member, which may be pickled, and what they mean."""

    member: str
    pickled: bool
    meta: dict[str, Any] | None


class Pt2(Format):
    """The format of ``torch.export.save``; read only."""

    name = "torch export"
    suffixes = (".pt2",)
    sources = ("file",)
    read_only = True
    holds_files = True
    # At least two members: the name of a tar's first member does not tell what the tar is.
    member_names = (
        r"\0(?:[^/\0]+/)?archive_format\0|\A(?:[^/\0]+/)?archive_format\0[^\0]"
        r"|(?:\A|\0)serialized_exported_program\.json\0"
    )


@recognize.register(Pt2, Source)
def _recognize(format: Pt2, source: Source, /) -> str | None:
    if source.head(2) != b"PK":
        return None
    names = "".join(f"{name}\0" for name in zip_names(source))
    return "a zip file of torch.export" if re.search(format.member_names, names) else None


@write.register(Pt2)
def _write(format: Pt2, target: Any, state_dict: Any, /, **options: Any) -> None:
    problem = "this format holds a program and is only read"
    raise FormatError("torch export", problem, "write a .pt file or a .safetensors file")


@read.register(Pt2, Source)
def _read(format: Pt2, source: Source, /) -> Contents:
    program = _Program(ZipArchive.of(source))
    if source.inner:
        return program.saved(source.inner)
    models = program.models()
    trees = {model: program.weights(member) for model, member in models.items()}
    rest: dict[str, Any] = {}
    for model in models:
        start = f"{model}.constants" if len(models) > 1 else "constants"
        rest.update((f"{start}.{key}", leaf) for key, leaf in program.constants(model).items())
    rest.update(program.other_members(models.values()))
    tree = trees if len(trees) > 1 else next(iter(trees.values()))
    metadata = {OPAQUE: dict(program.opaque)} if program.opaque else {}
    return Contents(tree, metadata, whole=len(trees) == 1, imports=program.imports, rest=rest)


class _Program:
    """The members of one file, with what its pickles name: imports, and classes left inert."""

    def __init__(self, archive: ZipArchive) -> None:
        self._archive, self._name = archive, archive.source.name
        self._root = _root(archive)
        self._order = byte_order(archive, self._root.rstrip("/"))
        self._storages: dict[tuple[str, ElementType], Storage] = {}
        self._unpickled: set[str] = set()
        self.imports: dict[str, bool] = {}
        self.opaque: Counter[str] = Counter()

    def models(self) -> dict[str, str]:
        """Return, for each program, the member that has the weights or lists them."""
        names = self._archive.names()
        if old := [name for name in names if name in _OLD]:
            return {"model": old[0]}
        start = len(self._root)
        found = [(name, _WEIGHTS.fullmatch(name, start)) for name in names]
        models = {match[1]: name for name, match in found if match}
        if not models:
            compiled = any("data/aotinductor/" in name for name in names)
            what = "a compiled program of AOTInductor" if compiled else "a program of torch.export"
            fix = "save the state_dict() of the module that it was made from with torch.save"
            raise FormatError(self._name, f"it is {what} without the weights of a module", fix)
        return models

    def weights(self, member: str) -> Any:
        """Return the leaves by key; one of a wrapper subclass is a tree of its inner tensors."""
        if member in _OLD or not member.endswith(_CONFIG):
            return self._pickled(member)
        return {
            key: self._pickled(listed.member) if listed.pickled else self._leaf(key, listed)
            for key, listed in self._tensors(member)
        }

    def constants(self, model: str) -> dict[str, Any]:
        """Return what the program has besides its weights, by name; objects stay inert."""
        member = f"{self._root}{_CONSTANTS.format(model)}"
        return {
            key: Opaque("a pickled constant") if listed.pickled else self._leaf(key, listed)
            for key, listed in (self._tensors(member) if member in self._archive else ())
        }

    def other_members(self, weights: Iterable[str]) -> dict[str, str]:
        """Return the sizes of the members that are not read: the program, its example inputs."""
        known, start = set(weights), len(self._root)
        return {
            name[start:]: counted(self._archive.entry(name).size, "byte")
            for name in self._archive.names()
            if name not in known and not _READ.fullmatch(name, start)
        }

    def _tensors(self, member: str) -> Iterator[tuple[str, _ListedTensor]]:
        """Yield each key with where its bytes are; FormatError unless all are in the archive."""
        packed = self._archive.entry(member).packed
        text = self._archive.read(member, limit=min(MAX_CONFIG, MAX_RATIO * packed))
        try:
            config = parse_json(f"{self._archive.source.name}:{member}", text, _object)
            tensors = {key: _listed_tensor(entry) for key, entry in config["config"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise self._refusal(f"its {member} does not list tensors ({error!r:.200})") from error
        folder = member[: member.rindex("/") + 1]
        for key, listed in tensors.items():
            path = f"{folder}{listed.member}"
            if path not in self._archive:
                raise self._refusal(f"it has no member {path!r} with the bytes of {key!r}")
            yield key, listed._replace(member=path)

    def _leaf(self, key: str, listed: _ListedTensor) -> Any:
        meta = listed.meta
        if meta is None:
            return Opaque("an object of torch.export")
        shape: Any = meta.get("sizes")
        strides: Any = meta.get("strides")
        if not is_shape(shape) or not is_shape(strides):
            raise self._refusal(f"the sizes or strides of {key!r} are not a few numbers")
        number, layout = meta.get("dtype"), meta.get("layout")
        if type(number) is not int or number not in _DTYPES or layout != _STRIDED:
            return Opaque(f"torch.export's dtype {brief(number)}, layout {brief(layout)}", (shape,))
        storage = self._storage(listed.member, ELEMENTS[_DTYPES[number]])
        if not storage.source.size and all(shape):
            return Opaque("a fake tensor, which has no bytes", (shape,))
        return storage.view(meta.get("storage_offset"), tuple(shape), tuple(strides))

    def _storage(self, member: str, element: ElementType) -> Storage:
        """Return the storage in a member; tensors that share one are views of the same object."""
        known = member, element
        if known not in self._storages:
            source = self._archive.member(member)
            self._storages[known] = Storage(source, element, self._order)
        return self._storages[known]

    def saved(self, member: str) -> Contents:
        """Return what is in a member that ``torch.save`` wrote."""
        # As a member of an archive it is not opened as one, or a zip could hold itself.
        source = ArchivedSource.of(self._archive.member(member), f"{self._name}:{member}")
        format = find_format(source)
        if isinstance(format, Pt2):
            raise self._refusal(f"its {member} is a program and not tensors")
        return read(format, source)

    def _pickled(self, member: str) -> Any:
        """Return the tree of such a member, which torch writes for one key alone."""
        if member in self._unpickled:
            raise self._refusal(f"two keys name its member {member}, which is a pickle")
        self._unpickled.add(member)
        contents = self.saved(member)
        self.imports.update(contents.imports)
        self.opaque.update(contents.metadata.get(OPAQUE, {}))
        return contents.tree

    def _refusal(self, problem: str) -> FormatError:
        return FormatError(self._name, problem, DAMAGED)


def _root(archive: ZipArchive) -> str:
    """Return the folder of all members, "" or one that ends in "/", its version checked."""
    for first in filter(_FIRST.fullmatch, archive.names()):
        root = first.removesuffix("archive_format")
        for name, known in (("archive_format", b"pt2"), ("archive_version", b"0")):
            found = archive.read(f"{root}{name}", limit=64).strip()
            if found != known:
                problem = f"its {name} is {found!r}, and {known!r} is known"
                fix = "write torch.export.load(path).state_dict with torch.save, and open that"
                raise FormatError(archive.source.name, problem, fix)
        return root
    return ""


def _object(pairs: list[tuple[str, Any]]) -> Any:
    """Return a JSON object, or its number if it is {"as_int": number}: a size, in few bytes."""
    if len(pairs) == 1 and pairs[0][0] == "as_int" and type(pairs[0][1]) is int:
        return pairs[0][1]
    return unique(pairs)


def _listed_tensor(entry: Any) -> _ListedTensor:
    """Return what the entry of a key says; TypeError or KeyError if it is of another kind."""
    member, meta = entry["path_name"], entry["tensor_meta"]
    if type(member) is not str or not (meta is None or isinstance(meta, dict)):
        raise TypeError("a path_name is not text, or a tensor_meta is not an object")
    return _ListedTensor(member, entry["use_pickle"] is True, meta)
