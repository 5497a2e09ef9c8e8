"""What the first process does in a save by several; real processes are in test_distributed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from torch.distributed.checkpoint.planner import SavePlan

from caten_sd.adapters.torch.saving import NumberedWriter
from caten_sd.files import locks


def test_without_locks_two_saves_never_give_out_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "lock", lambda handle, wait=False: None)
    (tmp_path / "__0_0.distcp").write_bytes(b"of the live checkpoint")
    writers = [NumberedWriter(tmp_path, {}, "") for _ in range(2)]
    prefixes = [
        plan.storage_data.prefix
        for writer in writers
        for plan in writer.prepare_global_plan([SavePlan([]), SavePlan([])])
    ]
    assert sorted(prefixes) == ["__1_", "__2_", "__3_", "__4_"]
    writers[0].files.end()
    assert sorted(os.listdir(tmp_path)) == [f"__{n}_0.distcp" for n in (0, 3, 4)]
    writers[1].files.end()
    assert os.listdir(tmp_path) == ["__0_0.distcp"]
