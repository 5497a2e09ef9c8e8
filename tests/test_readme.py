"""What the README shows is run as it stands there: its programs, its commands, its screens.

Each file of "How to add" is written from its block alone, and what it adds is used.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from caten_sd.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
SCREENS = [text for kind, text in BLOCKS if kind == "console"]
HOW_TO = {
    title: re.findall(r"^```python\n(.*?)^```$", part, re.M | re.S)
    for title, part in re.findall(
        r"^### A (\w+)\n(.*?)(?=^###? )", README.split("\n## How to add\n")[1], re.M | re.S
    )
}

# Each block of the first part sees the names of those before it; those of a file to add do not.
PROGRAM = """
import sys
from pathlib import Path
first, count = {}, int(sys.argv[1])
for number, path in enumerate(sys.argv[2:]):
    text = Path(path).read_text()
    exec(compile(text, path, "exec"), first if number < count else {"__name__": path})
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, where modules are found too; a warning is an error."""
    path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "error", *words]
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples, in which all Python blocks have run."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", folder / "examples")
    blocks = [text for kind, text in BLOCKS if kind == "python"]
    paths = [folder / f"block_{number}.py" for number in range(len(blocks))]
    for path, text in zip(paths, blocks, strict=True):
        path.write_text(text)
    added = len(HOW_TO)
    done = run(folder, "-c", PROGRAM, str(len(blocks) - added), *map(str, paths))
    assert (done.returncode, done.stderr) == (0, "")
    assert "wte.weight" in done.stdout
    return folder


def test_the_commands_run_in_order(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)
    commands = [command for command in COMMANDS if command.startswith("caten-sd")]
    assert len(commands) >= 6
    assert {command: main(shlex.split(command)[1:]) for command in commands} == dict.fromkeys(
        commands, 0
    )


def test_a_screen_is_what_its_command_prints_and_its_fix_loads(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(place)
    (screen,) = SCREENS
    command, _, printed = screen.partition("\n")
    assert main(shlex.split(command)[2:]) == 1
    assert capsys.readouterr().out == printed
    fix = shlex.split(printed.splitlines()[-1].removeprefix("fix: python "))
    done = run(place, *fix)
    assert done.stdout.startswith("12 of 12 slots")
    assert done.stderr == ""


def test_the_first_two_commands_are_those_that_ci_runs():
    installs = [command for command in COMMANDS if command.startswith("pip install")]
    assert [shlex.split(c)[4:] for c in installs] == [
        [".", "&&", "python", "examples/port_gpt2.py"],
        [".[test]", "&&", "pytest"],
    ]


def test_every_block_is_of_a_kind_that_is_run():
    assert {kind for kind, _ in BLOCKS} == {"sh", "python", "console", "toml"}
    assert all(c.startswith(("caten-sd ", "pip install ")) for c in COMMANDS)


def test_what_is_added_is_one_short_file_each():
    assert list(HOW_TO) == ["type", "format", "layout", "world", "module"]
    for title, blocks in HOW_TO.items():
        assert len(blocks) == 1, title
        assert len(blocks[0].splitlines()) <= 40, title


USES = {
    "type": """
import torch
from caten_sd import get_state_dict, load_state_dict, read_state_dict, snapshot, with_state
from caten_sd import write_state_dict
from my_type import Positive

def build(*values):
    return {"rate": Positive(values), "rest": torch.zeros(2)}

trained = {**build(2.0, 3.0), "rest": torch.ones(2)}
state = get_state_dict(trained)
assert list(state) == ["rate", "rest"]
write_state_dict(state, "trained.safetensors")
file = read_state_dict("trained.safetensors")
torch.testing.assert_close(file["rate"].torch(), torch.tensor([2.0, 3.0]))
for source in (state, file, {"rate": torch.tensor([2.0, 3.0]), "rest": torch.ones(2)}):
    for options in ({"strict": True}, {"assign": True}, {"assign": True, "strict": True}):
        fresh = build(1.0, 1.0)
        load_state_dict(fresh, source, **options)
        torch.testing.assert_close(fresh["rate"].log.exp().detach(), torch.tensor([2.0, 3.0]))
        assert fresh["rest"].tolist() == [1, 1]
before = snapshot(fresh)
new = with_state((Positive([5.0, 6.0]),), {"0": before["rate"]}, strict=True)
torch.testing.assert_close(new[0].log.exp().detach(), torch.tensor([2.0, 3.0]))
plain = {"rate": torch.zeros(2), "rest": torch.zeros(2)}
load_state_dict(plain, state, strict=True)
torch.testing.assert_close(plain["rate"], torch.tensor([2.0, 3.0]))
""",
    "format": """
from pathlib import Path
import numpy as np
import safetensors.numpy
from caten_sd import FormatError, StateDict, convert, get_state_dict, read_state_dict
from caten_sd import write_state_dict
from my_format import Toy

weights = {"b": np.arange(6, dtype="f4").reshape(2, 3), "a": np.array(7), "e": np.zeros((0, 2))}
write_state_dict(StateDict(weights, metadata={"by": "me"}), "first.toy")
with read_state_dict("first.toy") as file:
    assert file.origin == "toy" and list(file) == ["b", "a", "e"] and file.metadata["by"] == "me"
    assert "LazyTensor" in repr(file["b"]) and file["b"][1].numpy().tolist() == [3, 4, 5]
convert("first.toy", "first.safetensors")
found = safetensors.numpy.load_file("first.safetensors")
assert all(np.array_equal(found[key], weights[key]) for key in weights)
convert("first.safetensors", "second.toy")
tied = np.ones(2)
write_state_dict(get_state_dict({"x": tied, "y": tied}), "tied.toy")
assert read_state_dict("tied.toy").ties == {"y": "x"}
Path("cut.toy").write_bytes(Path("first.toy").read_bytes()[:-1])
try:
    read_state_dict("cut.toy")
except FormatError as error:
    assert "cut.toy" in str(error)
else:
    raise AssertionError("a file that is cut off was read")
""",
    "layout": """
import numpy as np
from caten_sd import check_layout, to_layout, write_state_dict
from caten_sd.layout import Layout, Row, find_layout
from my_layout import FLAX, OURS, flax, ours

assert flax["layers.0.query.kernel"].shape == (2, 2) and "layers.0.norm.scale" in flax
back = to_layout(flax, OURS, from_layout=FLAX)
assert {key: np.asarray(leaf).tolist() for key, leaf in back.items()} == {
    key: leaf.tolist() for key, leaf in ours.items()
}
assert check_layout(flax, FLAX).fits and not check_layout(ours, FLAX).fits
write_state_dict(ours, "ours.safetensors")
rows = [Row(name) for row in find_layout("caten-gpt2").rows for name in row.names]
assert Layout("another-gpt2", rows, base=find_layout("caten-gpt2")).architecture == "gpt2"
""",
    "world": """
import numpy as np
import torch
from caten_sd import get_state_dict, load_state_dict, plan_load, read_state_dict, to_layout
from caten_sd import with_state, write_state_dict
from caten_sd.layout import Layout, Row, Transpose
from my_world import Grid, Net

def net(value):
    half = Grid(np.full(2, value, "f2"))
    return Net(body=[Net(w=Grid(np.full((2, 3), value, "f4")))], b=half)

def numbers(model):
    return {key: leaf.values.tolist() for key, leaf in get_state_dict(model).items()}

assert list(get_state_dict(net(0))) == ["body.0.w", "b"]
plan = plan_load(net(0), {"body.0.w": np.ones((2, 3), "f4")})
assert [row.outcome.name for row in plan.rows] == ["LOADED", "MISSING"]
for options in ({"strict": True}, {"assign": True}):
    model = net(0)
    load_state_dict(model, get_state_dict(net(3)), **options)
    assert numbers(model) == numbers(net(3)) and get_state_dict(model)["b"].values.dtype == "f2"
assert numbers(with_state(model, get_state_dict(net(5)))) == numbers(net(5))
assert numbers(model) == numbers(net(3))
write_state_dict(get_state_dict(net(7)), "net.safetensors")
with read_state_dict("net.safetensors") as file:
    load_state_dict(model, file, strict=True)
    assert isinstance(file["b"].to("grids"), Grid) and numbers(model) == numbers(net(7))
tensors = {"body.0.w": torch.full((2, 3), 2.0), "b": torch.full((2,), 2.0)}
load_state_dict(model, tensors, strict=True, dtype="bf16")
assert numbers(model) == numbers(net(2))
assert get_state_dict(model)["b"].values.dtype.name == "bfloat16"
here = Layout("here", [Row("w.{i}", "body.{i}.w"), Row("b")])
there = Layout("there", [Row("w.{i}", "layers.{i}.w", Transpose()), Row("b")], base=here.canonical)
turned = to_layout(get_state_dict(net(4)), there, from_layout=here)
assert turned["layers.0.w"].shape == (3, 2)
load_state_dict(model, to_layout(turned, here, from_layout=there), strict=True)
assert numbers(model) == numbers(net(4))
""",
    "module": """
import torch
from caten_sd import get_state_dict, load_state_dict, read_state_dict, write_state_dict
from my_module import Classifier, model

state = get_state_dict(model)
assert list(state) == ["MLP.0.weight", "MLP.0.bias", "MLP.1.weight", "MLP.1.bias", "mean"]
assert "mean" not in dict(model.named_parameters()) and model.mean.abs().sum() > 0
torch.manual_seed(0)
x, y = torch.randn(32, 4), torch.randint(2, (32,))
fresh = Classifier(4, 2)
optimizer = torch.optim.SGD(fresh.parameters(), lr=0.1)
losses = []
for step in range(20):
    loss = torch.nn.functional.cross_entropy(fresh(x), y)
    fresh.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < losses[0]
write_state_dict(get_state_dict(fresh), "module.safetensors")
again = load_state_dict(Classifier(4, 2), read_state_dict("module.safetensors"), strict=True)
assert torch.equal(again(x), fresh(x))
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with each file of "How to add", written from its block alone."""
    for title, (text,) in HOW_TO.items():
        (tmp_path / f"my_{title}.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize("title", USES)
def test_what_a_block_adds_works(folder: Path, title: str):
    done = run(folder, "-c", USES[title])
    assert (done.returncode, done.stderr) == (0, "")


def caten_sd(folder: Path, line: str) -> tuple[int, str]:
    done = run(folder, "-m", "caten_sd", *shlex.split(line))
    return done.returncode, done.stdout + done.stderr


def test_the_format_keeps_the_contract(folder: Path):
    program = (
        "from caten_sd.testing import check_format\nfrom my_format import Toy\ncheck_format(Toy)"
    )
    assert run(folder, "-c", program).stderr == ""


def test_an_announced_format_works_on_the_command_line(folder: Path):
    (announcement,) = (text for kind, text in BLOCKS if kind == "toml")
    group, entry = re.fullmatch(
        r'\[project\.entry-points\."(.*)"\]\n(\w+ = "\w+")\n', announcement
    ).groups()
    metadata = folder / "toy-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: toy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{entry.replace(chr(34), '')}\n")
    source = ROOT / "examples" / "tiny_gpt2"
    assert caten_sd(folder, f"convert {shlex.quote(str(source))} m.toy --to caten-gpt2")[0] == 0
    assert caten_sd(folder, "convert m.toy m.safetensors")[0] == 0
    code, shown = caten_sd(folder, "show m.toy")
    assert (code, "toy" in shown) == (0, True)
    digests = [
        caten_sd(folder, f"digest {name}")[1].split()[0] for name in ("m.toy", "m.safetensors")
    ]
    assert digests[0] == digests[1]


def test_an_added_layout_works_on_the_command_line(folder: Path):
    assert run(folder, "-c", USES["layout"]).returncode == 0
    convert = "convert ours.safetensors flax.safetensors --to my_layout.py:FLAX"
    assert caten_sd(folder, f"{convert} --from my_layout:OURS")[0] == 0
    assert caten_sd(folder, "check flax.safetensors --against my_layout:FLAX")[0] == 0
    code, said = caten_sd(folder, "check ours.safetensors --against my_layout.py:FLAX")
    assert (code, "embed" in said) == (1, True)
