"""What a save wrote is read by its hidden name, as it will be read once it is renamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caten_sd.errors import FormatError
from caten_sd.files.atomic import checked
from caten_sd.files.checkpoint import read_state_dict, write_state_dict
from caten_sd.files.uncommitted import read_uncommitted
from caten_sd.formats.sharded import Sharded
from tests.files.overlaps import NEVER_REPLACED, target_in
from tests.formats.test_conformance import writable

OLD = {"old": np.zeros(3, "f4")}
NEW = {f"h.{n}.w": np.full((10, 10), n, "f4") for n in range(3)}


@pytest.mark.parametrize(
    ("format", "options"),
    [*((each, {}) for each in writable()), (Sharded(), {"max_shard_size": 500})],
    ids=lambda given: getattr(given, "name", None),
)
def test_it_reads_as_it_will(format: object, options: dict[str, int], tmp_path: Path) -> None:
    target = target_in(format, tmp_path)
    if format.name not in NEVER_REPLACED:
        write_state_dict(OLD, target, format=format)
    found: list[dict[str, bytes]] = []

    def check(written: Path, named: Path) -> None:
        with read_uncommitted(written, named) as state:
            found.append({key: leaf.numpy().tobytes() for key, leaf in state.items()})

    with checked(check):
        write_state_dict(NEW, target, format=format, **options)
    with read_state_dict(target) as state:
        assert found == [{key: leaf.numpy().tobytes() for key, leaf in state.items()}]


def test_an_error_calls_it_by_the_name_that_it_will_have(tmp_path: Path) -> None:
    for name in ("w.npz", "model.safetensors.index.json", ".metadata"):
        hidden = tmp_path / f".{name}.0.caten-partial"
        hidden.write_bytes(b"junk")
        with pytest.raises(FormatError) as caught:
            read_uncommitted(hidden, tmp_path / name)
        assert caught.value.source == str(tmp_path / name)
