"""The files of a model that is divided among ranks: each has a part of every large tensor."""

from __future__ import annotations

import re

from caten_sd.errors import FormatError
from caten_sd.state.source import Folder
from caten_sd.wording import first_few

# Meta's files of Llama, of which one alone is a whole model.
_META = re.compile(r"consolidated\.([0-9]{2})\.(pth|pt|safetensors)")
_MEGATRON = re.compile(r"mp_rank_([0-9]{2}|[1-9][0-9]{2,4})/model_optim_rng\.pt")

RankSet = dict[int, str]  # the file of each rank that is there


def rank_sets(folder: Folder) -> list[RankSet]:
    """Return the files of ranks in a folder, which may lack some; none if there are none."""
    if folder.index or folder.kind != "folder":
        return []
    sets: dict[str, RankSet] = {}
    for name in folder.names():
        if match := _META.fullmatch(name):
            sets.setdefault(match[2], {})[int(match[1])] = name
    several = [found for found in sets.values() if len(found) > 1]
    return several or _megatron_sets(folder)


def _megatron_sets(folder: Folder) -> list[RankSet]:
    files = folder.path.glob("mp_rank_*/model_optim_rng.pt")
    names = (path.relative_to(folder.path).as_posix() for path in files)
    found = {int(match[1]): match[0] for match in map(_MEGATRON.fullmatch, names) if match}
    return [found] if found else []


def rank_files(folder: Folder) -> list[str]:
    """Return the files of all ranks, in order; none if the folder does not have such files.

    FormatError names those that are missing.
    """
    sets = rank_sets(folder)
    if not sets:
        return []
    found, *others = sets
    if others:
        firsts = " and of ".join(each[min(each)] for each in sets)
        raise FormatError(
            folder.name, f"it has the ranks of {firsts}", "move the files of one set away"
        )
    last = max(found)
    file = found[last]
    missing = [file.replace(f"{last:02}", f"{n:02}", 1) for n in range(last) if n not in found]
    if missing:
        raise FormatError(
            folder.name,
            f"it has {file} and lacks {first_few(missing, 4)}",
            "get the files of all ranks",
        )
    return [found[number] for number in sorted(found)]
