"""A layout as a TOML file: it comes back as it was, and what is wrong in a file is named."""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import caten_sd.layout
from caten_sd.errors import LayoutError
from caten_sd.layout import Layout
from caten_sd.mapping import number_overlap, toml_fields
from caten_sd.mapping.assembly import Concat, Split, Stack, Unstack
from caten_sd.mapping.axis_lengths import Pad, Trim
from caten_sd.mapping.bundles import bundle
from caten_sd.mapping.detection import detect_layout
from caten_sd.mapping.extension import extend
from caten_sd.mapping.heads import Regroup, Rotary
from caten_sd.mapping.known import built_in_layouts, find_layout
from caten_sd.mapping.layer_operations import Flip, GruBiases, SumOfBiases
from caten_sd.mapping.layout_check import check_layout
from caten_sd.mapping.layout_plan import to_layout
from caten_sd.mapping.operations import (
    Chain,
    Identity,
    NegExp,
    Offset,
    Operation,
    Scale,
    Transpose,
)
from caten_sd.mapping.rearrange import Each, Rearrange
from caten_sd.mapping.rows import Constant, Drop, Lacks, Row
from caten_sd.mapping.toml_fields import OPERATIONS
from caten_sd.mapping.toml_input import LONGEST_TEXT
from caten_sd.state.state_dict import STAMP, StateDict
from tests.properties import examples, sampled

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SIZES: Any = st.sampled_from([1, 3, "n_head", "2*n_head + n_kv"])
SHARES = st.lists(SIZES, min_size=2, max_size=3).map(tuple)
NUMBERS = st.floats(0.5, 1e30) | st.integers(1, 9)
ONE: Any = st.one_of(
    st.just(Identity()),
    st.sampled_from([Transpose(), Transpose((1, 0)), Transpose((2, 0, 1))]),
    st.builds(Offset, NUMBERS),
    st.builds(Scale, NUMBERS, st.booleans()),
    st.builds(NegExp, st.booleans()),
    st.builds(Rotary, SIZES, st.integers(0, 2), st.sampled_from(["halves", "pairs"])),
    st.builds(Regroup, SHARES, SIZES, st.integers(0, 2), st.booleans()),
    st.builds(
        Pad, st.integers(0, 2), count=st.integers(1, 9), at=st.sampled_from(["end", "start"])
    ),
    st.builds(Trim, st.integers(0, 2), SIZES, multiple=st.just(64), value=NUMBERS),
    st.builds(Pad, st.integers(0, 2), SIZES, SIZES),
    st.just(Rearrange("(h two d) c -> (h d two) c", h="n_head", two=2)),
    st.just(Rearrange("a b -> b a")),
)
CHAINS = ONE | st.lists(ONE, min_size=1, max_size=3).map(lambda each: Chain(*each))
WORDS = st.text("abcdefgé漢😀\"'\\ =#[]", min_size=1, max_size=9)


@st.composite
def rows(draw: Any, n: int) -> Row | Drop | Lacks:
    a, b = f"a{n}.{{i}}", f"b{n}.{{i}}"
    more = {"optional": draw(st.booleans()), "prefixed": draw(st.booleans())}
    more |= draw(st.sampled_from([{}, {"where": "i % 2 == 0 and i < n_dense"}]))
    kind = draw(st.sampled_from(["one", "join", "split", "stack", "each", "also", "drop", "lacks"]))
    inner = draw(CHAINS)
    shape = draw(st.none() | st.lists(SIZES, max_size=3).map(tuple))
    if kind == "join":
        return Row((f"{a}.q", f"{a}.k"), b, Chain(Concat((1, "n_kv")), inner), **more)
    if kind == "split":
        return Row(a, (f"{b}.q", f"{b}.k"), Split(("n_head", 1), 1), **more, shape=shape)
    if kind == "stack":
        stack = draw(st.sampled_from([Chain(Stack("e"), inner), Stack("e", 1)]))
        return Row(f"{a}.{{e}}", b, stack, **more)
    if kind == "each":
        both = Each(draw(ONE), draw(ONE))
        return Row((f"{a}.q", f"{a}.k"), (f"{b}.q", f"{b}.k"), both, also=(f"{b}.x", f"{b}.y"))
    if kind == "also":
        also = draw(st.sampled_from([f"x{n}.{{i}}", (f"x{n}.{{i}}", f"y{n}.{{i}}")]))
        return Row(a, f"{b}.{{i+1}}".replace(".{i}", ""), inner, also=also, shape=shape)
    if kind == "drop":
        return Drop(b, draw(WORDS), shape=shape, prefixed=draw(st.booleans()))
    if kind == "lacks":
        constant = draw(st.none() | st.just(Constant(1.5, like=f"z{n}.{{i}}", axes=(0,))))
        return Lacks(a, draw(WORDS), constant=constant)
    return Row(a, b, inner, **more, shape=shape)


@st.composite
def layouts(draw: Any) -> Layout:
    drawn = [draw(rows(n)) for n in range(draw(st.integers(1, 5)))]
    tied = Row("head.w", tied="a.w", untied=("tie", False), given="a.b")
    metadata = draw(st.dictionaries(WORDS, WORDS, max_size=2))
    return Layout(
        draw(WORDS),
        [*drawn, tied, Row(f"end.{{i}}.{draw(st.sampled_from(['w', '{part:w|b}', '{path...}']))}")],
        architecture=draw(st.sampled_from(["", "gpt2"])),
        prefixes=draw(st.sampled_from([("",), ("model.", "")])),
        counts=draw(st.sampled_from([{}, {"i": "n_layer"}])),
        aliases=draw(st.sampled_from([{}, {"n_head": ("num_heads", "heads")}])),
        model_types=draw(st.lists(WORDS, max_size=2)),
        metadata=metadata,
        sizes=draw(st.dictionaries(WORDS, st.just("n_head"), max_size=2)),
        proof=draw(st.just("") | WORDS),
    )


def fields_of(layout: Layout) -> dict[str, Any]:
    """Return all fields, and those of the base in its place."""
    found = {each.name: getattr(layout, each.name) for each in dataclasses.fields(layout)}
    return {**found, "base": layout.base and fields_of(layout.base)}


def back(layout: Layout, folder: Path) -> Layout:
    path = folder / "layout.toml"
    path.write_text(layout.to_toml(), "ascii" if layout.to_toml().isascii() else "utf-8")
    return Layout.from_toml(path)


@settings(max_examples=examples(60))
@given(layouts())
def test_every_layout_comes_back_as_it_was(tmp_path_factory: Any, layout: Layout) -> None:
    folder = tmp_path_factory.getbasetemp()
    again = back(layout, folder)
    assert fields_of(again) == fields_of(layout)
    assert again.to_toml() == layout.to_toml()
    based = Layout("based", layout.canonical.rows, base=layout.canonical, separator=".")
    assert fields_of(back(based, folder)) == fields_of(based)


@pytest.mark.parametrize("name", sampled(sorted(built_in_layouts()), 8))
def test_the_layouts_of_the_package_come_back(name: str, tmp_path: Path) -> None:
    layout = find_layout(name)
    again = back(layout, tmp_path)
    assert fields_of(again) == fields_of(layout)
    assert again.base is layout.base


def test_a_bundle_and_a_family_come_back(tmp_path: Path) -> None:
    llama = Layout("llama", [Row("q.{i}", "w.{i}", Rotary("n_head")), Row("k.{i}", shape=("n", 3))])
    extended = extend(llama, "qwen2", [Row("b.{i}")], model_types=["qwen2_vl"])
    unstacked = Layout("moe", [Row("e.{i}", "x.{e}.{i}", Unstack("e"))], base=None)
    both = bundle("file", {"text": ("t.", llama), "moe": ("m.", unstacked)}, [Drop("x", "no")])
    biases = [
        Row("w", "kernel", Flip((0, 1))),
        Row(("b_ih", "b_hh"), "b", SumOfBiases()),
        Row(("c_ih", "c_hh"), ("c", "n"), GruBiases(undo=True)),
    ]
    for layout in (extended, both, Layout("world", biases)):
        assert fields_of(back(layout, tmp_path)) == fields_of(layout)


def test_every_operation_of_the_door_and_every_kind_of_field_is_known() -> None:
    door = [getattr(caten_sd.layout, name) for name in caten_sd.layout.__all__]
    operations = {each for each in door if isinstance(each, type) and issubclass(each, Operation)}
    assert operations - {Operation} <= set(OPERATIONS.values())
    read = {field.type for field in dataclasses.fields(Layout)}
    read -= {"Sequence[Row | Drop | Lacks]", "Layout | None"}
    for kind in (Row, Drop, Lacks, Constant, *OPERATIONS.values()):
        read |= {field.type for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    assert read <= toml_fields._READERS.keys()


def test_an_operation_of_ones_own_stays_in_python() -> None:
    class Mine(Operation):
        def inverse(self) -> Operation:
            return self

    with pytest.raises(LayoutError, match=r"Mine.*mine\.py:LAYOUT"):
        Layout("mine", [Row("a", operation=Mine())]).to_toml()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([Drop("mask", "r" * 500)], "500 characters"),
        ([Row("a" + "é" * 350)], "2,000 bytes"),
        ([Row(f"a{n}") for n in range(toml_fields.MOST_ROWS + 1)], "5,000"),
        ([Row(f"{{ab}}.x{n}y") for n in range(150)], "150 of 151 rows capture names"),
    ],
    ids=["text", "line", "rows", "names"],
)
def test_what_a_file_may_not_hold_is_not_written(rows: list[Row | Drop], said: str) -> None:
    with pytest.raises(LayoutError, match=f"mine.*{said}"):
        Layout("mine", [Row("w"), *rows]).to_toml()


def test_a_text_that_no_screen_shows_is_not_written() -> None:
    with pytest.raises(LayoutError, match=r"\\x1b.*rename"):
        Layout("a\x1b[31m", [Row("a")]).to_toml()


MINE = """
name = "mine"
base = "caten-gpt2"
prefixes = ["net."]
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.chdir(tmp_path)
    theirs = find_layout("hf-gpt2")
    text = theirs.to_toml().replace('"hf-gpt2"', '"mine"').replace('"transformer."', '"net."')
    Path("mine.toml").write_text(text)
    return find_layout("mine.toml")


def test_a_toml_file_is_used_wherever_a_name_is(mine: Layout) -> None:
    assert find_layout("mine.toml") is mine
    assert find_layout(str(Path("mine.toml").absolute())) is mine
    from tests.mapping.test_detection import caten

    state = to_layout(caten(), "mine.toml", from_layout="caten-gpt2")
    assert state.metadata[STAMP] == "mine"
    assert "net.h.0.ln_1.weight" in state
    assert list(to_layout(state, "caten-gpt2", from_layout="mine.toml")) == list(caten())
    assert check_layout(dict(state), "mine.toml").fits
    assert list(to_layout(state, "mine.toml")) == list(state)


def test_a_file_that_changed_is_read_again(mine: Layout) -> None:
    text = Path("mine.toml").read_text()
    Path("mine.toml").write_text(text.replace('"net."', '"model."'))
    assert find_layout("mine.toml").prefixes == ("model.", "")


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", ["a layout needs a name"]),
        ("name = 'm'", ["needs a name and at least one row"]),
        ("name = 3\n[[rows]]\ncanonical='a'", ["name is 3", "write a text"]),
        ("nam = 'm'", ["'nam' is not a layout", "did you mean 'name'"]),
        ("name = 'm'\nname = 'n'", ["not a TOML file", "overwrite"]),
        ("\x00", ["not a TOML file"]),
        ("version = 2", ["version is 2", "1 is the newest", "update"]),
        ("version = true", ["version is True"]),
        ("name = 'm'\nrows = 3", ["rows are not a list"]),
        ("name = 'm'\nrows = [3]", ["row 1 needs one of the keys canonical, drop, lacks"]),
        ("[[rows]]\ncanonical='a'\ndrop='b'", ["row 1 needs one of"]),
        ("[[rows]]\ncanonical='a'\nheer='b'", ["row 1", "'heer'", "did you mean 'here'"]),
        ("[[rows]]\ncanonical='a'\nshape=[1.5]", ["row 1, shape[0] is 1.5"]),
        ("[[rows]]\ncanonical='a'\nshape=['2*']", ["row 1", "'2*' is not a size"]),
        ("[[rows]]\ncanonical='a'\noptional=1", ["row 1, optional is 1", "true or false"]),
        ("[[rows]]\ncanonical='a'\nuntied=['t', 1]", ["row 1, untied", "tie_word_embeddings"]),
        ("[[rows]]\ncanonical='a'\noperation='Transpos'", ["'Transpos'", "mean 'Transpose'"]),
        ("[[rows]]\ncanonical='a'\noperation=3", ["row 1, operation is not an operation"]),
        ("[[rows]]\ncanonical='a'\noperation='Rotary'", ["operation.Rotary has no heads"]),
        ("[[rows]]\ncanonical='a'\noperation={Rotary={head=1}}", ["'head'", "mean 'heads'"]),
        ("[[rows]]\ncanonical='a'\noperation={Rotary=1}", ["operation.Rotary is an int"]),
        ("[[rows]]\ncanonical='a'\noperation={Transpose={axes=[0, 2]}}", ["Transpose", "(0, 2)"]),
        ("[[rows]]\ncanonical='a'\noperation=['Transpose', 'Nop']", ["operation[1]", "'Nop'"]),
        ("[[rows]]\ncanonical='a'\noperation='os.system'", ["'os.system'", "known are Chain"]),
        ("[[rows]]\ndrop='a'", ["row 1 has no reason"]),
        ("[[rows]]\nlacks='a'\nreason='r'\nconstant={value=1}", ["row 1, constant has no like"]),
        (
            "name='m'\n[[rows]]\ncanonical='a'\n[[rows]]\ncanonical='a'",
            ["two rows take one key, a"],
        ),
        ("name='m'\nbase='no-such'\n[[rows]]\ncanonical='a'", ["called 'no-such'", "[base]"]),
        ("name='m'\nbase='caten-gpt2'\n[[rows]]\ncanonical='a'", ["a is not a canonical name"]),
        ("name='m'\n[base]\nname='b'\n[[rows]]\ncanonical='a'", ["base", "at least one row"]),
        ("name='m'\nbase=['caten-gpt2']\n[[rows]]\ncanonical='a'", ["no layout is called"]),
        ('name="\\u001b"', ["not printed"]),
        ('name="a\\u202eb"', ["'a\\u202eb'", "not printed"]),
        (f"name='{'a' * (LONGEST_TEXT + 1)}'", ["401 characters", "at most 400"]),
        (f"name='{'a.' * 100}'", ["64 segments"]),
    ],
)
def test_what_is_wrong_in_a_file_is_named(text: str, facts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(LayoutError) as caught:
        Layout.from_toml(path)
    said = str(caught.value)
    assert "wrong.toml" in said
    assert said.isprintable()
    assert len(said) < 700
    assert [fact for fact in facts if fact not in said] == []


COMPARED = b"[[rows]]\ncanonical = 'a.{i}.w'\nwhere = 'i == %d and %s'\n"
LONG = " and ".join(f"i % {n + 2} != {n * 10}" for n in range(16)).encode()
ALIKE = b"""[[rows]]
canonical = 'a.%d.b{i}'
where = 'i > 200'
[[rows]]
canonical = 'a.{i}.b%d'
where = 'i > 200'
"""


@pytest.mark.parametrize(
    "text",
    [
        b"a." * 400_000 + b"b = 1",
        b"".join(b"%s = 1\n" % b".".join([b"k%d" % n] * 450) for n in range(200)),
        b"a = " + b"[" * 5_000 + b"]" * 5_000,
        b"a = " + b"{b = " * 1_000 + b"1" + b"}" * 1_000,
        b"a = [" + b"1,\n" * 300_000 + b"]",
        b"n = 1" + b"0" * 7_000,
        b"name = 'm'\n" + b"[[rows]]\ncanonical = 'a'\n" * 40_000,
        b"name = 'm'\n" + b"".join(b"[[rows]]\ncanonical='{ab}.x%d'\n" % n for n in range(4_000)),
        b"name = 'm'\n" + b"".join(ALIKE % (n, n) for n in range(150)),
        b"name = 'm'\n" + b"".join(COMPARED % (n, LONG) for n in range(140)),
        b"name = 'm'\n[[rows]]\ncanonical = 'a'\n" + b"#" * (1 << 20),
        b"\xff\xfe",
    ],
    ids=[
        "keys",
        "many keys",
        "lists",
        "tables",
        "values",
        "digits",
        "rows",
        "names",
        "alike",
        "conditions",
        "big",
        "utf",
    ],
)
def test_a_hostile_file_is_refused_soon(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hostile.toml"
    path.write_bytes(text)
    start = time.process_time()
    with pytest.raises(LayoutError, match=r"hostile\.toml"):
        Layout.from_toml(path)
    assert time.process_time() - start < 3


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir], ids=["absent", "folder"])
def test_what_is_not_a_file_is_refused(make: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "layout.toml"
    make(path)
    with pytest.raises(LayoutError, match=r"layout\.toml"):
        find_layout(str(path))


def test_a_stamp_that_is_the_name_of_a_file_reads_none(mine: Layout) -> None:
    state = StateDict({"wte.weight": np.zeros(1)}, metadata={STAMP: "mine.toml"})
    with pytest.raises(LayoutError, match=r"no layout is called 'mine\.toml'"):
        to_layout(state, "hf-gpt2")
    assert detect_layout(state).layout is None


def test_the_text_is_toml(tmp_path: Path) -> None:
    layout = find_layout("hf-gpt2")
    values = tomllib.loads(layout.to_toml())
    assert values["version"] == 1
    assert len(values["rows"]) == len(layout.rows)


def test_the_bases_of_a_file_are_compared_in_the_time_of_one_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = '[[%srows]]\ncanonical = "a.{i}"\nhere = "b%d.{i}"\nwhere = "i %% 4 == %d"\n'
    path = tmp_path / "nested.toml"

    def write(levels: int) -> None:
        tables = [f'[{("base." * n)[:-1]}]\nname = "m{n}"\n' * bool(n) for n in range(levels)]
        rows = ["".join(row % ("base." * n, k, k) for k in range(4)) for n in range(levels)]
        pairs = zip(tables, rows, strict=True)
        path.write_text('name = "m"\n' + "".join(table + each for table, each in pairs))

    monkeypatch.setattr(number_overlap, "_MOST_TRIALS", 10_000)
    write(2)
    assert Layout.from_toml(path).to_toml()
    write(16)
    with pytest.raises(LayoutError, match="have too many conditions"):
        Layout.from_toml(path)
    write(2)
    assert Layout.from_toml(path).name == "m"
