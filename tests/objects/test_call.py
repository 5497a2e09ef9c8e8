from __future__ import annotations

import sys
from subprocess import run

import attrs
import pytest

from caten_sd.errors import NoApplicableMethodError
from caten_sd.objects.call import call


@attrs.define
class Scale:
    by: int


@attrs.define
class Shifted(Scale):
    shift: int = 0


@call.register(Scale)
def scale(model: Scale, x: int, *, twice: bool = False) -> int:
    return x * model.by * (2 if twice else 1)


@call.register(Shifted)
def shifted(call_next_method: object, model: Shifted, x: int, **options: bool) -> int:
    assert callable(call_next_method)
    return int(call_next_method(model, x, **options)) + model.shift


def test_dispatches_on_the_model_and_passes_the_rest_through() -> None:
    assert call(Scale(3), 5) == 15
    assert call(Scale(3), 5, twice=True) == 30


def test_a_method_may_build_on_the_next() -> None:
    assert call(Shifted(3, 1), 5, twice=True) == 31


def test_a_model_without_a_method_is_named() -> None:
    class Unheard: ...

    with pytest.raises(
        NoApplicableMethodError, match=r"no (primary )?method of call takes \(.*Unheard\)"
    ):
        call(Unheard(), 1)


def test_call_needs_no_torch() -> None:
    code = "import sys, caten_sd.objects.call; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_public_name_is_the_function_whatever_was_imported_first() -> None:
    code = "import caten_sd.nn; from caten_sd.extend import call; call.register"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
