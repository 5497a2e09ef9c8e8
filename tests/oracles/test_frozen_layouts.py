"""The layouts of the package against llama.cpp's converter: its very tensors, and back again.

CATEN_SD_LLAMA_CPP names the folder of llama.cpp: vendor/llama.cpp in the source distribution of
llama-cpp-python. CATEN_SD_PAIRS names a folder that keeps the pairs.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracles.pairs import GGUF
from tests.oracles.proof import GOOD, prove

CONVERTER = os.environ.get("CATEN_SD_LLAMA_CPP", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CONVERTER, reason="CATEN_SD_LLAMA_CPP names no llama.cpp"),
]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    pytest.importorskip("transformers", reason="its classes make the models")
    folder = Path(os.environ.get("CATEN_SD_PAIRS") or tmp_path_factory.mktemp("pairs"))
    command = [sys.executable, "-m", "tests.oracles.pairs", CONVERTER, str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return sorted(each.parent for each in folder.glob(f"*/{GGUF}"))


def test_the_converters_tensors_come_of_them_and_go_back(pairs: list[Path]) -> None:
    proofs = [prove(folder) for folder in pairs]
    failed = "\n".join(str(each) for each in proofs if {each.there, each.back} - GOOD)
    assert sum(each.there in GOOD for each in proofs) >= 100, failed
    assert sum(each.back in GOOD for each in proofs) >= 95, failed
