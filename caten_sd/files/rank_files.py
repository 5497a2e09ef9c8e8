"""The files of a model that is divided among ranks: each has a part of every large tensor."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple, NoReturn

from caten_sd.errors import FormatError
from caten_sd.state.source import Folder

# Meta's files of Llama, of which one alone is a whole model.
_META = re.compile(r"consolidated\.([0-9]{2})\.(pth|pt|safetensors)")
_SHOWN = 4  # of missing ranks, whose names may claim millions
# Megatron's, of the ranks that divide tensors, those that divide layers, and those of experts.
_NUMBER = "([0-9]{3}|[1-9][0-9]{3,4})"
_MEGATRON = re.compile(
    rf"mp_rank_([0-9]{{2}}|[1-9][0-9]{{2,4}})(?:_{_NUMBER}(?:_{_NUMBER})?)?/model_optim_rng\.pt"
)


class StageRank(NamedTuple):
    """The stage whose layers a rank has, and its number among the ranks of the stage."""

    stage: int
    rank: int


RankSet = dict[StageRank, str]  # the file of each rank that is there


def rank_sets(folder: Folder) -> list[RankSet]:
    """Return the files of ranks in a folder, which may lack some; none if there are none."""
    if folder.index or folder.kind != "folder":
        return []
    sets: dict[str, RankSet] = {}
    for name in folder.names():
        if match := _META.fullmatch(name):
            sets.setdefault(match[2], {})[StageRank(0, int(match[1]))] = name
    several = [found for found in sets.values() if len(found) > 1]
    return several or _megatron_sets(folder)


def _megatron_sets(folder: Folder) -> list[RankSet]:
    files = folder.path.glob("mp_rank_*/model_optim_rng.pt")
    names = (path.relative_to(folder.path).as_posix() for path in files)
    matches = [match for match in map(_MEGATRON.fullmatch, sorted(names)) if match]
    divided: list[RankSet] = [{}, {}]
    for match in matches:
        if match[3]:
            raise FormatError(
                folder.name,
                f"{match[0]} has a part of the experts, which are not joined",
                "let Megatron save it for one expert-parallel rank",
            )
        staged = divided[match[2] is not None]
        staged[StageRank(int(match[2] or 0), int(match[1]))] = match[0]
    return [found for found in divided if found]


def rank_files(folder: Folder) -> list[list[str]]:
    """Return the files of all ranks, in order, for each stage; none if there are no such files.

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
    stages, ranks = (max(numbers) + 1 for numbers in zip(*found, strict=True))
    if len(found) < stages * ranks:
        _refuse(folder, found, stages, ranks)
    return [[found[StageRank(stage, rank)] for rank in range(ranks)] for stage in range(stages)]


def _refuse(folder: Folder, found: RankSet, stages: int, ranks: int) -> NoReturn:
    places = (StageRank(stage, rank) for stage in range(stages) for rank in range(ranks))
    missing = itertools.islice((place for place in places if place not in found), _SHOWN)
    last = found[max(found)]
    names = ", ".join(_named(last, max(found), place) for place in missing)
    rest = stages * ranks - len(found) - _SHOWN
    more = f" and {rest:,} more" * (rest > 0)
    raise FormatError(
        folder.name, f"it has {last} and lacks {names}{more}", "get the files of all ranks"
    )


def _named(file: str, at: StageRank, place: StageRank) -> str:
    """Return the name of the file of a place, from that of another."""
    named = file.replace(f"{at.rank:02}", f"{place.rank:02}", 1)
    return named.replace(f"_{at.stage:03}", f"_{place.stage:03}", 1)
