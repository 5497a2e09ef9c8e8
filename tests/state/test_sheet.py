"""Every plan, check, report and result shows one sheet: on a screen, as JSON, in a notebook."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import string
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import caten_sd
from caten_sd.cli.layouts import LayoutList, LayoutRows
from caten_sd.cli.show import FileSummary
from caten_sd.errors.printable import LONGEST, one_line
from caten_sd.files.conversion import Conversion
from caten_sd.loading.load import plan_load
from caten_sd.loading.report import LoadPlan, LoadReport
from caten_sd.mapping.detection import Detection, detect_layout
from caten_sd.mapping.findings import Findings
from caten_sd.mapping.layout import Layout
from caten_sd.mapping.layout_check import LayoutCheck, check_layout
from caten_sd.mapping.layout_plan import LayoutPlan, plan_layout
from caten_sd.mapping.rows import Row
from caten_sd.proof.difference import Diff, diff
from caten_sd.proof.explanation import Explanation, explain
from caten_sd.proof.parting import LayerGap
from caten_sd.proof.suggestion import Suggestion, suggest
from caten_sd.proof.verification import Verification
from caten_sd.state.grouping import MAX_LINES
from caten_sd.state.sheet import VERSION, HasSheet, Sheet
from caten_sd.state.sheet_groups import SheetGroup, SheetRow
from caten_sd.state.state_dict import StateDict
from tests.hostile_texts import TEXTS
from tests.properties import examples, sampled

Keys = list[str]


def state_of(keys: Keys, text: str) -> StateDict:
    entry = {key: np.zeros(at % 7 + 1, "f4") for at, key in enumerate(keys)}
    return StateDict({"w": np.zeros(2, "f4"), **entry}, metadata={text: text}, origin=text)


def load_plan(keys: Keys, text: str) -> LoadPlan:
    model = {"w": np.ones(2, "f4"), text.replace(".", ""): np.ones((9, 9), "f4")}
    return plan_load(model, state_of(keys, text), allow_missing=[f"{text}.absent"])


def layout_plan(keys: Keys, text: str) -> LayoutPlan:
    mine = Layout("mine", [Row("v", "w"), Row("idle.{i}", optional=True), Row("needed", "x")])
    return plan_layout(state_of(keys, text), mine.canonical, from_layout=mine)


def conversion(keys: Keys, text: str) -> Conversion:
    findings = Findings(untaken=keys, dropped=dict.fromkeys(keys, text), hints=[text])
    casts = {"float32 to bfloat16": len(keys)}
    return Conversion(text, text, len(keys), 12, text, casts, float("nan"), text, (text,), findings)


def layout(keys: Keys, text: str) -> Layout:
    names = keys[:400]  # no architecture has more rows
    rows = [Row(f"w{at}", f"x.{key}" if key.isidentifier() else "") for at, key in enumerate(names)]
    return Layout(text, rows or [Row("w")], proof=text)


def verification(keys: Keys, text: str) -> Verification:
    gaps = [LayerGap(key, f"{key}s", "output", 0.5, float("inf"), 1e-7) for key in [text, *keys]]
    return Verification(text, text, gaps, 0, dict.fromkeys(keys, text), [text])


MAKERS: dict[type[HasSheet], Callable[[Keys, str], HasSheet]] = {
    LoadPlan: load_plan,
    LoadReport: lambda keys, text: load_plan(keys, text).apply(),
    LayoutCheck: lambda keys, text: check_layout(state_of(keys, text), "hf-gpt2", file=text),
    LayoutPlan: layout_plan,
    Detection: lambda keys, text: detect_layout(state_of(keys, text)),
    Conversion: conversion,
    LayoutList: lambda keys, text: LayoutList([layout(keys, text)], [layout(keys, text + "s")]),
    LayoutRows: lambda keys, text: LayoutRows(layout(keys, text)),
    Explanation: lambda keys, text: explain(state_of(keys, text), state_of(keys, f"{text}s")),
    Diff: lambda keys, text: diff(state_of(keys, text), state_of(keys, f"{text}s")),
    Suggestion: lambda keys, text: suggest(state_of(keys, text), state_of(keys, f"{text}s")),
    Verification: verification,
    FileSummary: lambda keys, text: FileSummary(text, state_of(keys, text)),
}
METHODS = {"sheet", "to_dict", "_repr_html_"}
ELSEWHERE = {  # what they are made of, and what is not a result
    HasSheet,
    Sheet,
    StateDict,  # its text is Caten's listing
}

ALIKE = [f"h.{i}.{part}.weight" for i in range(200) for part in ("attn", "mlp", "ln")]
UNLIKE = [f"{a}{b}{c}" for a in string.ascii_letters for b in "abcdef" for c in "ab"]
UNLIKE_IN_ONE = [f"module.{name}" for name in UNLIKE]
GAPS = [f"h.{i * i}.w" for i in range(600)]
CASES: dict[str, tuple[Keys, str]] = {
    "none": ([], "a"),
    "one": (["h.0.w"], "b"),
    "alike": (ALIKE, "c"),
    "unlike": (UNLIKE, "d"),
    "unlike-in-one": (UNLIKE_IN_ONE, "e"),
    "gaps": (GAPS, "f"),
    **{name: ([text, f"{text}.0.{text}"], text) for name, text in TEXTS.items()},
}


@pytest.fixture(params=MAKERS, ids=lambda each: each.__name__)
def kind(request: pytest.FixtureRequest) -> type[HasSheet]:
    found: type[HasSheet] = request.param
    return found


@cache
def made(kind: type[HasSheet], case: str) -> HasSheet:
    return MAKERS[kind](*CASES[case])


@pytest.fixture(params=sampled(CASES, 3))
def result(kind: type[HasSheet], request: pytest.FixtureRequest) -> HasSheet:
    found = made(kind, request.param)
    assert type(found) is kind
    return found


def test_it_prints_on_one_screen_verdict_first_and_fix_last(result: HasSheet) -> None:
    lines = str(result).split("\n")
    assert len(lines) <= MAX_LINES
    assert lines[0] == one_line(result.verdict)
    assert max(map(len, lines)) <= len("fix: ") + LONGEST
    assert all(map(str.isprintable, lines))
    sheet = result.sheet()
    if sheet.fix:
        assert lines[-1].startswith("fix: ")
    if sheet.cause:
        assert lines[-1 - bool(sheet.fix)].startswith("likely cause: ")
    for group in sheet.groups:
        if group.printed():
            assert any(line.startswith(f"{group.title} (") for line in lines), group.title


def test_many_keys_stay_a_readable_table(kind: type[HasSheet]) -> None:
    text = str(made(kind, "unlike-in-one"))
    assert max(map(len, text.split("\n"))) < 400


def test_json_has_a_kind_a_version_and_every_key_that_is_counted(result: HasSheet) -> None:
    given = result.to_dict()
    assert json.loads(json.dumps(given, allow_nan=False)) == given
    sheet = result.sheet()
    assert (given["kind"], given["version"]) == (sheet.kind, VERSION)
    assert {"verdict", "notes", "groups", "cause", "fix"} <= set(given)
    assert [(title, len(rows)) for title, rows in given["groups"].items()] == [
        (group.title, len(group.rows)) for group in sheet.groups
    ]
    json.dumps(given).encode()


def test_a_notebook_shows_text_and_nothing_that_a_browser_obeys(result: HasSheet) -> None:
    page = result._repr_html_()
    tree = ElementTree.fromstring(page)
    tags = {each.tag for each in tree.iter()}
    assert tags <= {"div", "p", "table", "caption", "tbody", "tr", "td", "pre"}
    assert not any(each.attrib for each in tree.iter())
    texts = [text.strip() for text in tree.itertext()]
    assert texts[0] == one_line(result.verdict).strip()
    assert len(list(tree.iter("tr"))) <= MAX_LINES
    shown = [line.strip() for line in str(result).split("\n")]
    cells = [": ".join(filter(None, row.itertext())).strip() for row in tree.iter("tr")]
    assert {cell[:400] for cell in cells} <= {line[:400] for line in shown}  # a long one is cut


def test_a_prompt_shows_the_verdict(kind: type[HasSheet], result: HasSheet) -> None:
    assert repr(result) == f"<{kind.__name__}: {one_line(result.verdict)}>"
    assert repr(result).isprintable()


def test_each_kind_has_a_name_of_its_own() -> None:
    names = [make(["k"], "a").sheet().kind for make in MAKERS.values()]
    assert len(set(names)) == len(names)


def like_results(classes: Iterable[type]) -> set[type]:
    """Return the classes that print, write or show themselves as a result does."""
    found = {
        each for each in classes if METHODS & set(vars(each)) or issubclass(each, HasSheet)
    } - ELSEWHERE
    return {each for each in found if not found & set(each.__subclasses__())}


def is_installed(module: str) -> bool:
    """Return whether the package is there that an adapter is for; other modules need none."""
    adapter = module.partition("caten_sd.adapters.")[2].partition(".")[0]
    return not adapter or importlib.util.find_spec(adapter) is not None


def classes_of_the_house() -> Iterable[type]:
    for module in pkgutil.walk_packages(caten_sd.__path__, "caten_sd."):
        if not module.name.endswith("__main__") and is_installed(module.name):
            found = vars(importlib.import_module(module.name)).values()
            yield from (each for each in found if isinstance(each, type))


def test_every_result_of_the_house_is_held_to_this() -> None:
    ours = {each for each in classes_of_the_house() if each.__module__.startswith("caten_sd.")}
    assert like_results(ours) == set(MAKERS)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_result_that_renders_itself_would_be_found(method: str) -> None:
    renders = type("Renders", (), {method: lambda self: ""})
    assert like_results([renders, Sheet]) == {renders}


def test_nothing_else_fits_keys_on_a_screen() -> None:
    root = Path(caten_sd.__file__).parent
    users = {
        name: [path.stem for path in sorted(root.rglob("*.py")) if name in path.read_text()]
        for name in ("MAX_LINES", "group_keys(", "likely cause: ")
    }
    assert users == {
        "MAX_LINES": ["grouping", "sheet"],
        "group_keys(": ["grouping", "sheet_groups"],
        "likely cause: ": ["sheet"],
    }


names = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(UNLIKE)
rows = st.builds(SheetRow, names, detail=names, quiet=st.booleans())
groups = st.lists(rows, max_size=40, unique_by=lambda row: row.key)


@settings(max_examples=examples(40))
@given(st.lists(groups, max_size=25), st.lists(names, max_size=30), names, names)
def test_every_line_is_shown_or_counted(
    found: list[list[SheetRow]], notes: list[str], cause: str, fix: str
) -> None:
    all_groups = [SheetGroup(f"group {at}", group) for at, group in enumerate(found)]
    sheet = Sheet("made", "verdict", notes, all_groups, cause, fix)
    lines = str(sheet).split("\n")
    assert len(lines) <= MAX_LINES
    printed = [group for group in all_groups if group.printed()]
    sections = [each for each in sheet.sections(MAX_LINES) if each.heading.startswith("group")]
    counted = {each.heading for each in sections}
    for group in printed[: len(sections)]:
        assert f"{group.title} ({len(group.printed())})" in counted
    if len(sections) < len(printed):
        left = len(printed) - len(sections)
        assert any(f"... and {left} more group" in each.heading for each in sheet.sections(20))
    assert len(sheet.every_line().split("\n")) == (
        1
        + len(notes)
        + sum(1 + len(group.printed()) for group in printed)
        + bool(cause)
        + bool(fix)
    )


@pytest.mark.parametrize("fix", ['f("a  b")  # two', "x < y & z", " a"])
def test_a_browser_shows_a_fix_as_it_is(fix: str) -> None:
    page = Sheet("made", "verdict", fix=fix)._repr_html_()
    (found,) = ElementTree.fromstring(page).iter("pre")
    assert found.text == f"fix: {fix}"


def test_a_fix_is_whole_or_not_there() -> None:
    short = Sheet("made", "verdict", cause="c", fix="x" * LONGEST)
    assert str(short).endswith("fix: " + "x" * LONGEST)
    assert "x" * LONGEST in short._repr_html_()
    long = Sheet("made", "verdict", cause="c", fix="x" * (LONGEST + 1))
    assert str(long).endswith("fix: a line of 4,001 characters; .fix, or --json, has it")
    assert long.to_dict()["fix"] == long.fix
