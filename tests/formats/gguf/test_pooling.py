"""How a text's vector is made, from the files of sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caten_sd.formats.gguf.pooling import pooling_type

POOLING = {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}
CASES: list[tuple[Any, Any, int | None]] = [
    ([{"type": "x.Transformer", "path": ""}, POOLING], {"pooling_mode_mean_tokens": True}, 1),
    ([POOLING], {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, 2),
    ([POOLING], {"pooling_mode_lasttoken": True}, 3),
    ([POOLING], {"pooling_mode": "lasttoken"}, 3),
    ([POOLING], {"pooling_mode_max_tokens": True}, None),
    ([POOLING], ["x"], None),
    ([{**POOLING, "path": "../../1_Pooling"}], {"pooling_mode": "cls"}, 2),
    ([{**POOLING, "path": 3}], {"pooling_mode": "cls"}, None),
    ([{"type": None}, 3], {}, None),
    ({"a": 1}, {}, None),
]


@pytest.mark.parametrize(("modules", "options", "meant"), CASES)
def test_the_number_is_llama_cpps(
    tmp_path: Path, modules: Any, options: Any, meant: int | None
) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(options))
    assert pooling_type(tmp_path) == meant


@pytest.mark.parametrize("text", ["[", "\ud800", "[" * 100_000, '[{"type": "Pooling"}]'])
def test_what_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "modules.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert pooling_type(tmp_path) is None
