"""The file of a rank is below its folder, and another for each rank."""

from __future__ import annotations

from pathlib import Path

import pytest

from caten_sd.errors import LayoutError
from caten_sd.layout import Layout, Row

WRONG = ["one.pth", "/x{rank}.pt", "../{rank}.pt", "a/b/{rank}.pt", "{number}.pt", "{rank.x}", "{",
         "{rank!q}", "{rank:zz}"]  # fmt: skip


@pytest.mark.parametrize("rank_file", WRONG)
def test_another_place_is_refused(rank_file: str) -> None:
    with pytest.raises(LayoutError, match="rank_file= is"):
        Layout("mine", [Row("a.w", ranks=(0,))], rank_file=rank_file)


def test_a_layout_keeps_it(tmp_path: Path) -> None:
    layout = Layout("mine", [Row("a.w", ranks=(0,))], rank_file="p{rank}.pt::model")
    (tmp_path / "l.toml").write_text(layout.to_toml())
    assert Layout.from_toml(tmp_path / "l.toml").rank_file == "p{rank}.pt::model"
