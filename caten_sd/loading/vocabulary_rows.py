"""Find matrices that differ in their number of rows only, as an embedding of another vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterable

from caten_sd.loading.misfit import Case, Cause
from caten_sd.loading.policy import exactly
from caten_sd.loading.report import LoadRow, Outcome
from caten_sd.state.quoting import python_literal
from caten_sd.wording import counted

MOST = 4  # an embedding, a head, and one of each for a second vocabulary
_EMBEDDING = re.compile(r"emb|wte|tok|vocab|word|shared", re.IGNORECASE)
_OTHER_TABLE = re.compile(r"pos|wpe|type", re.IGNORECASE)  # its rows are not those of tokens
_MULTIPLES = (64, 32, 16, 8, 128, 256, 512, 1024)


def vocabulary(case: Case) -> Cause | None:
    """Return how many rows of a few matrices differ, and whether the file has no biases at all.

    There is a line only for a vocabulary that is padded: no token has one of the rows in question.
    """
    rows = case.of(Outcome.SHAPE)
    lengths = [found for row in rows if (found := _row_counts(row))]
    if not 0 < len(rows) == len(lengths) <= MOST:
        return None
    texts = [_difference(row, *each) for row, each in zip(rows, lengths, strict=True)]
    repairs = {
        exactly(row.key): "trim_rows()" if file > model else "pad_rows()"
        for row, (file, model) in zip(rows, lengths, strict=True)
    }
    multiple = padded_to(*lengths[0]) if _is_vocabulary(rows, lengths) else 0
    if multiple:
        texts[-1] += f", which looks like a vocabulary padded to a multiple of {multiple}"
    missing = [row.key for row in case.of(Outcome.MISSING)]
    without_biases = _has_no_biases(case, missing)
    if without_biases:
        texts.append(counted(len(missing), "bias is absent", "biases are absent"))
        repairs["*bias"] = "fill(0.0)"
    listed = ", ".join(f"{python_literal(key)}: {repair}" for key, repair in repairs.items())
    option = f"on_mismatch={{{listed}}}"
    if multiple and (without_biases or not missing):
        return Cause("; ".join(texts), f"load_state_dict(model, state_dict, {option})")
    texts.append(f"if the others are the same rows in the same order, load with {option}")
    return Cause("; ".join(texts), "")


def _row_counts(row: LoadRow) -> tuple[int, int] | None:
    """Return the rows of two matrices, the file's and the model's, if nothing else differs."""
    file, model = (row.leaf.shape if row.leaf else ()), (row.slot.shape if row.slot else ())
    same = len(file) == len(model) == 2 and file[1] == model[1]
    return (file[0], model[0]) if same else None


def _difference(row: LoadRow, file: int, model: int) -> str:
    which = f"{counted(abs(file - model), 'row')} {'more' if file > model else 'fewer'}"
    return f"{row.key} has {which} in the file ({file}) than in the model ({model})"


def _is_vocabulary(rows: list[LoadRow], lengths: list[tuple[int, int]]) -> bool:
    """Return whether all have the rows of one embedding of tokens."""
    return is_of_tokens([row.key for row in rows]) and len(set(lengths)) == 1


def is_of_tokens(keys: Iterable[str]) -> bool:
    """Return whether one of these tables is called an embedding, and none is one of positions.

    >>> is_of_tokens(["wte.weight", "lm_head.weight"]), is_of_tokens(["wpe.weight"])
    (True, False)
    """
    names = list(keys)
    return any(map(_EMBEDDING.search, names)) and not any(map(_OTHER_TABLE.search, names))


def padded_to(*lengths: int) -> int:
    """Return the multiple to which the smaller is rounded up to give the larger, or 0.

    >>> padded_to(50304, 50257), padded_to(1024, 512)
    (64, 0)
    """
    small, large = sorted(lengths)
    if small % 8 == 0:
        return 0
    return next((each for each in _MULTIPLES if large == -(-small // each) * each), 0)


def _has_no_biases(case: Case, missing: list[str]) -> bool:
    """Return whether all that the file lacks are biases, of which it has none: they are zero."""
    vectors = [key for key in missing if len(case.slot_shapes.get(key, ())) == 1]
    return (
        bool(missing)
        and len(vectors) == len(missing)  # a mask may be called bias, too
        and all(key.endswith("bias") for key in missing)
        and not any(key.endswith("bias") for key in case.file)
    )
