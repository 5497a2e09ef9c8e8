"""A file that changes between the headers and its values is an error, and never the fill value."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import caten_sd as sd
from tests.formats.orbax.test_chunk_reading import W, pieces, written


@pytest.mark.parametrize("what", ["removed", "changed"])
def test_a_chunk_that_changes_after_the_headers_were_read_is_named(
    what: str, tmp_path: Path
) -> None:
    folder = written(tmp_path, pieces(), sparse=True)
    with sd.read_state_dict(folder) as state:
        path = folder / "w" / "0.1"
        if what == "removed":
            path.unlink()
        else:
            time.sleep(0.02)  # the clock of a file system is coarse
            path.write_bytes(bytes(24))
        assert state["w"][2:].numpy().tolist() == W[2:].tolist()
        with pytest.raises(sd.FormatError, match=rf"w/0\.1 was {what}.*open it again"):
            state["w"].numpy()


def test_a_chunk_that_was_absent_and_appears_is_not_read(tmp_path: Path) -> None:
    chunks = pieces()
    late = chunks.pop("0.1")
    folder = written(tmp_path, chunks, sparse=True)
    with sd.read_state_dict(folder) as state:
        assert state["w"][:2, 3:].numpy().tolist() == np.zeros((2, 3)).tolist()
        time.sleep(0.02)
        (folder / "w" / "0.1").write_bytes(late)
        with pytest.raises(sd.FormatError, match="open it again"):
            state["w"].numpy()
