"""The files of a model that is divided among ranks: each has a part of every large tensor."""

from __future__ import annotations

import re
from itertools import count, takewhile

from caten_sd.errors import FormatError
from caten_sd.state.source import Folder
from caten_sd.wording import first_few

# Meta's files of Llama, of which one alone is a whole model.
_META = re.compile(r"consolidated\.([0-9]{2})\.(pth|pt|safetensors)")
_MEGATRON = "mp_rank_{:02}/model_optim_rng.pt"


def rank_files(folder: Folder) -> list[str]:
    """Return the files of all ranks, in order; none if the folder does not have such files.

    FormatError names those that are missing.
    """
    if folder.index or folder.kind != "folder":
        return []
    sets: dict[str, dict[int, str]] = {}
    for name in folder.names():
        if match := _META.fullmatch(name):
            sets.setdefault(match[2], {})[int(match[1])] = name
    several = [found for found in sets.values() if len(found) > 1]
    if several:
        return _all_of(folder, several)
    return list(takewhile(folder.has, map(_MEGATRON.format, count())))


def _all_of(folder: Folder, sets: list[dict[int, str]]) -> list[str]:
    """Return the files of the one set, in order."""
    found, *others = sets
    if others:
        firsts = " and of ".join(each[min(each)] for each in sets)
        raise FormatError(
            folder.name, f"it has the ranks of {firsts}", "move the files of one set away"
        )
    last = max(found)
    missing = [f"consolidated.{n:02}" for n in range(last) if n not in found]
    if missing:
        raise FormatError(
            folder.name,
            f"it has {found[last]} and lacks {first_few(missing, 4)}",
            "get the files of all ranks",
        )
    return [found[number] for number in sorted(found)]
