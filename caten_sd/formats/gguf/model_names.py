"""The parts of a model's name on the hub, as llama.cpp's converter takes it apart.

"Meta-Llama-3-8B-Instruct" has a basename, a size and the name of what it was tuned for. The rules
are those of gguf-py's metadata.py, which is the oracle in the tests.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_VERSION = re.compile(r"(v|iter)?\d+([.]\d+)*", re.IGNORECASE)
_TYPE = re.compile(r"i?q\d(_\w)*|b?fp?(16|32)", re.IGNORECASE)
_SIZE = re.compile(
    r"(([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl)", re.IGNORECASE
)
_TUNED = re.compile(r"chat|instruct|vision|lora", re.IGNORECASE)
_KEPT = re.compile(r"v\d+(?:\.\d+)*|\d.*")
_LONGEST = 256  # characters of a name; longer ones are names only, since nothing else is one


class ModelName(NamedTuple):
    """A name and its parts; those that it does not have are None."""

    name: str | None = None
    organization: str | None = None
    basename: str | None = None
    finetune: str | None = None
    version: str | None = None
    size: str | None = None


class _Part(NamedTuple):
    text: str
    kinds: frozenset[str]


def model_name(identifier: str, parameters: int) -> ModelName:
    """Return the parts of a name; ``parameters`` are those that the model has.

    >>> model_name("org/Some-Model-7B-chat", 7_000_000_000)[1:]
    ('org', 'Some-Model', 'chat', None, '7B')
    """
    if " " in identifier or len(identifier) > _LONGEST:
        return ModelName(identifier)
    before, slash, after = identifier.partition("/")
    full = after if slash else identifier
    organization = before if slash and not before.startswith(".") else None
    parts = [_part(at, text, parameters) for at, text in enumerate(filter(None, full.split("-")))]
    parts = _without_last_version(_with_base(_without_words(parts)))
    base, tuned, sizes = (_joined(parts, kind) for kind in ("basename", "finetune", "size"))
    version = _joined([each for each in parts if "basename" not in each.kinds], "version")
    if sizes is None and tuned is None and version is None:
        base = None
    return ModelName(full, organization, base, tuned, version, sizes)


def title(name: str) -> str:
    """Return a name as a title, with versions and abbreviations as they are.

    >>> title("some-model-v2-GGUF")
    'Some Model v2 GGUF'
    """
    words = name.strip().replace("-", " ").split()
    return " ".join(
        word.title() if word.islower() and not _KEPT.fullmatch(word) else word for word in words
    )


def size_label(parameters: int, experts: int) -> str:
    """Return a number of parameters in two digits; with experts, the number for one of them.

    >>> size_label(1_234_000, 0), size_label(46_000_000, 8)
    ('1.2M', '8x46M')
    """
    for power, letter in ((12, "T"), (9, "B"), (6, "M"), (3, "K")):
        if parameters > 10**power or letter == "K":
            scaled = parameters * 10**-power
            break
    digits = max(2 - len(str(round(scaled)).lstrip("0")), 0)
    label = f"{scaled:.{digits}f}{letter}"
    return f"{experts}x{label}" if experts else label


def _part(at: int, text: str, parameters: int) -> _Part:
    if _VERSION.fullmatch(text):
        return _Part(text, frozenset({"version"}))
    if _TYPE.fullmatch(text):
        return _Part(text.upper(), frozenset({"type"}))
    if at and _SIZE.fullmatch(text):
        return _size(text.replace("_", "."), parameters)
    return _Part(text, frozenset({"finetune"} if at and _TUNED.fullmatch(text) else ()))


def _size(text: str, parameters: int) -> _Part:
    """Return a size, or the length of a context where the model has another size."""
    if text[-1].isdecimal():  # 7b1 is 7.1b
        text = f"{text[:-2]}.{text[-1]}{text[-2]}"
    if len(text) > 1 and text[-2].isdecimal() and text[-1] in "kmbt":
        text = text[:-1] + text[-1].upper()
    try:
        named = float(text[:-1]) * pow(1000, " KMBT".find(text[-1]))
    except ValueError:
        named = None
    if named is not None and parameters and abs(named - parameters) > 7 * parameters // 8:
        return _Part(text[:-1] + text[-1].lower(), frozenset({"finetune"}))
    return _Part(text, frozenset({"size"}))


def _without_words(parts: list[_Part]) -> list[_Part]:
    """Return the parts, in which a word is no size where a number is one."""
    sizes = [each.text for each in parts if "size" in each.kinds]
    if not any(letter.isdecimal() for size in sizes for letter in size):
        return parts
    return [
        _Part(each.text, each.kinds - {"size"}) if each.text.isalpha() else each for each in parts
    ]


def _with_base(parts: list[_Part]) -> list[_Part]:
    """Return the parts, of which the first words and versions are the basename."""
    found, begins = [], True
    for text, kinds in parts:
        begins = begins and ((not kinds and text[0].isalpha()) or "version" in kinds)
        more = {"basename"} if begins else set() if kinds else {"finetune"}
        found.append(_Part(text, kinds | more))
    return found


def _without_last_version(parts: list[_Part]) -> list[_Part]:
    """Return the parts, in which versions at the end of the name are no part of the basename."""
    found = list(parts)
    for at in reversed(range(len(found))):
        text, kinds = found[at]
        if "basename" not in kinds or len(kinds) == 1:
            break
        found[at] = _Part(text, kinds - {"basename"})
    return found


def _joined(parts: list[_Part], kind: str) -> str | None:
    texts = [each.text for each in parts if kind in each.kinds]
    return "-".join(dict.fromkeys(texts) if kind == "size" else texts) or None
