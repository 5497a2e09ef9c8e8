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
    found = {name: match for name in folder.names() if (match := _META.fullmatch(name))}
    if len(found) > 1:
        _require_all(folder, found)
        return sorted(found)
    return list(takewhile(folder.has, map(_MEGATRON.format, count())))


def _require_all(folder: Folder, found: dict[str, re.Match[str]]) -> None:
    endings = {match[2] for match in found.values()}
    last = max(int(match[1]) for match in found.values())
    wanted = [f"consolidated.{n:02}.{each}" for each in sorted(endings) for n in range(last + 1)]
    if missing := [name for name in wanted if name not in found]:
        raise FormatError(
            folder.name,
            f"it has rank {last} of a model and lacks {first_few(missing, 4)}",
            "get the files of all ranks",
        )
