from __future__ import annotations

import pytest

from caten_sd.encodings.pickle.inert_names import is_inert


@pytest.mark.parametrize(
    "name",
    [
        "models.Net",
        "models.make_net",
        "torch.nn.modules.linear.Linear",
        "torch.nn.modules.conv._ConvNd",
        "numpy.dtype",
        "argparse.Namespace",
        "functools.partial",
    ],
)
def test_classes_and_what_checkpoints_call_stay_inert(name: str) -> None:
    assert is_inert(name)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "posix.system",
        "builtins.eval",
        "torch.load",
        "numpy.load",
        "commands.getoutput",
    ],
)
def test_other_functions_make_a_file_suspect(name: str) -> None:
    assert not is_inert(name)
