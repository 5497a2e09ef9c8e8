"""Where the part that a rank has of a model is written, as a layout says it."""

from __future__ import annotations

from pathlib import PurePosixPath

from caten_sd.errors import LayoutError


def rank_place(rank_file: str, rank: int) -> tuple[str, str]:
    """Return the file of a rank below its folder, and the place of the tensors in it.

    >>> rank_place("mp_rank_{rank:02}/model_optim_rng.pt::model", 3)
    ('mp_rank_03/model_optim_rng.pt', 'model')
    """
    name, _, within = rank_file.format(rank=rank).partition("::")
    return name, within


def check_rank_file(rank_file: str) -> None:
    """Raise LayoutError if it is not the name of another file below a folder for each rank."""
    if not rank_file:
        return
    try:
        (first, _), (second, _) = (rank_place(rank_file, rank) for rank in (0, 1))
    except (LookupError, ValueError, AttributeError, TypeError):
        first = second = ""
    path = PurePosixPath(first)
    if first == second or path.is_absolute() or ".." in path.parts or len(path.parts) > 2:
        raise LayoutError(
            f"rank_file= is {rank_file!r}; write the name of a file with the number of its rank, "
            f"as in 'part.{{rank:02}}.pth'"
        )
