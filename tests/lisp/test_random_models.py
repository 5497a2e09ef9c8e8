"""Random definitions give the shapes that Python gives; what Lisp does not see changes nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from caten_sd.errors import CatenError
from caten_sd.lisp.lisp_file import read_lisp
from caten_sd.lisp.syntax.reader import read_data
from caten_sd.objects.extract import get_state_dict
from tests.lisp.random_models import RandomModel, random_models
from tests.properties import examples

SMALL = st.integers(-4, 9)
FEW = settings(max_examples=examples(20))


def shapes_of(text: str, n: int, size: int, options: dict[str, int]) -> dict[str, tuple[int, ...]]:
    model = read_lisp(text).model("M")(n, size, **options)
    return {key: tuple(leaf.shape) for key, leaf in get_state_dict(model).items()}


@FEW
@given(random_models(), SMALL, SMALL, st.none() | SMALL)
def test_shapes_are_those_of_python(model: RandomModel, n: int, size: int, k: int | None) -> None:
    values: dict[str, Any] = {"n": n, "size-2": size, "k": 3 if k is None else k}
    found = shapes_of(model.text, n, size, {} if k is None else {"k": k})
    assert found == model.shapes(values)
    assert list(found) == list(model.shapes(values))


NOTHING = st.sampled_from([" ", "\n", "\t; )\n", " #| ( |# ", " #+clisp (x) ", " #-sbcl x "])


@FEW
@given(random_models(), SMALL, st.data())
def test_comments_white_space_and_case_change_nothing(
    model: RandomModel, n: int, data: st.DataObject
) -> None:
    words = model.text.replace("(", " ( ").replace(")", " ) ")
    spaced = "".join(
        data.draw(st.sampled_from([word, word.upper(), word.title()])) + data.draw(NOTHING)
        for word in words.split()
    )
    assert read_data(spaced) == read_data(model.text)
    assert shapes_of(spaced, n, 2, {}) == shapes_of(model.text, n, 2, {})


def test_bars_keep_the_case_that_differs() -> None:
    text = "(defmodel (M ()) ((|a| (rand '(1))) (A2 (rand '(1)))))"
    assert list(shapes_keys(text)) == ["a", "a2"]
    apart = "(defmodel (M (|n| n)) ((w (rand (list |n| N)))))"
    model = read_lisp(apart).model("M")(2, 3)
    assert model.w.shape == (2, 3)


def shapes_keys(text: str) -> list[str]:
    return list(get_state_dict(read_lisp(text).model("M")()))


@FEW
@given(random_models(), st.data())
def test_a_damaged_definition_is_built_or_refused(model: RandomModel, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(model.text) - 1))
    end = data.draw(st.integers(start, len(model.text)))
    put = data.draw(st.text(alphabet="() '`,@#|\\\";:.ab1/-", max_size=4))
    text = f"\n{model.text[:start]}{put}{model.text[end:]}"
    message = ""
    try:
        read_lisp(text).build("(M 2 3)")
    except CatenError as error:
        message = str(error)
    assert "\n" not in message
    assert "Traceback" not in message
