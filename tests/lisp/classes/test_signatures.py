from __future__ import annotations

import time

import pytest

from caten_sd.lisp.classes.signatures import named_arguments
from caten_sd.lisp.definitions.lambda_lists import lambda_list
from caten_sd.lisp.syntax.reader import read_data


def test_names_that_are_one_in_python_become_several() -> None:
    (datum,) = read_data("(a.b a-b &key a_b self)")
    assert list(named_arguments(lambda_list(datum))) == ["a_b", "a_b_", "a_b__", "self_"]


@pytest.mark.slow
def test_a_list_of_many_arguments_is_named_in_time() -> None:
    arguments = lambda_list(*read_data(f"({' '.join(f'a{number}' for number in range(60_000))})"))
    begin = time.process_time()
    assert len(named_arguments(arguments)) == 60_000
    assert time.process_time() - begin < 5
