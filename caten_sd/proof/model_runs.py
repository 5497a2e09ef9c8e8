"""Runs of a live model on an input, with what each of its layers takes and gives."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from caten_sd.errors import CatenError, ModelError
from caten_sd.loading.owners import hooks_of
from caten_sd.objects.call import call
from caten_sd.objects.watching import Watch, observed
from caten_sd.proof.live_layers import LiveModel
from caten_sd.state.dtype import numpy_dtype
from caten_sd.state.leaf import Numpy, Torch, as_array, kind_of, spec, spec_or_none

INPUT, OUTPUT = "input", "output"
Inputs = Sequence[Any] | Mapping[str, Any]
Seen = Callable[[str, str, Any], None]  # a layer's path, INPUT or OUTPUT, and an array


@call.around(object)
def _watched_call(
    call_next_method: Callable[..., Any], model: Any, *inputs: Any, **options: Any
) -> Any:
    """Tell what watches a model of each call; it is registered once two models are verified."""
    return observed(call_next_method, model, *inputs, **options)


def run(live: LiveModel, inputs: Inputs, paths: Sequence[str], seen: Seen) -> None:
    """Run a model, and give the first tensor that each of these layers takes and gives.

    The other layers are watched, too, since each does meanwhile what it does untrained.
    """
    wanted = set(paths)
    with contextlib.ExitStack() as stack:
        for path, owner in live.layers.items():
            watch = _watch(path, seen) if path in wanted else Watch(_ignore, _ignore)
            stack.enter_context(hooks_of(owner).watched(watch))
        stack.enter_context(_without_gradients())
        try:
            _called(live, inputs)
        except CatenError as error:
            raise ModelError(f"{live.side} fails on the inputs: {error}") from error
        except Exception as error:
            raise ModelError(
                f"{live.side}, {type(live.model).__name__}, fails on the inputs "
                f"({type(error).__name__}: {error}); pass inputs that both models take, as "
                f"inputs= or --inputs FILE.npz"
            ) from error


def _ignore(value: Any) -> None:
    pass


def _watch(path: str, seen: Seen) -> Watch:
    def tell(moment: str, value: Any) -> None:
        array = first_array(value)
        if array is not None:
            seen(path, moment, array)

    return Watch(lambda value: tell(INPUT, value), lambda value: tell(OUTPUT, value))


def first_array(value: Any) -> Any:
    """Return a copy of the first tensor in the inputs or the output of a layer, or None.

    Of complex numbers, the real and imaginary parts are elements of their own.

    >>> import numpy
    >>> first_array(({"mask": None}, [numpy.ones(2), 3]))
    array([1., 1.])
    """
    leaf = next(_leaves(value), None)
    if leaf is None:
        return None
    array = as_array(Numpy(), leaf).copy()
    return array.reshape(-1).view(array.real.dtype) if array.dtype.kind == "c" else array


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (Mapping, list, tuple)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(each)
    elif (known := spec_or_none(value)) is not None and known.has_values:
        yield value


def _without_gradients() -> contextlib.AbstractContextManager[Any]:
    torch = sys.modules.get("torch")
    return contextlib.nullcontext() if torch is None else torch.no_grad()


def _called(live: LiveModel, inputs: Inputs) -> Any:
    model = live.model
    function = model if callable(model) else lambda *given: call(model, *given)
    if isinstance(inputs, Mapping):
        given = {name: _as_model_has(live, array) for name, array in inputs.items()}
        if _takes(model, given):
            return function(**given)
        return function(*given.values())
    return function(*(_as_model_has(live, array) for array in inputs))


def _takes(model: Any, names: Mapping[str, Any]) -> bool:
    """Return whether the forward pass of a model has parameters of all these names."""
    known = getattr(model, "forward", None)
    return known is not None and set(names) <= set(inspect.signature(known).parameters)


def _as_model_has(live: LiveModel, array: Any) -> Any:
    """Return an array as the model's world has it: on its device, and floats in its dtype."""
    torch = sys.modules.get("torch")
    leaves = [leaf for leaf in live.state.values() if torch and isinstance(leaf, torch.Tensor)]
    if torch is None or not leaves:
        return _of_another_world(live, array)
    tensor = as_array(Torch(), as_array(Numpy(), array)).to(leaves[0].device)
    floats = [leaf.dtype for leaf in leaves if leaf.is_floating_point()]
    return tensor.to(floats[0]) if floats and tensor.is_floating_point() else tensor


def _of_another_world(live: LiveModel, array: Any) -> Any:
    """Return an array of the kind of the model's leaves, floats in their dtype; else itself."""
    kinds = [(leaf, kind) for leaf in live.state.values() if (kind := kind_of(leaf)) is not None]
    if not kinds or kind_of(array) is not None:
        return array
    values = as_array(Numpy(), array)
    dtypes = [spec(leaf).dtype for leaf, _ in kinds]
    floats = [dtype for dtype in dtypes if dtype.kind == "float"]
    if floats and spec(values).dtype.kind == "float":
        values = values.astype(numpy_dtype(floats[0]))
    return as_array(kinds[0][1], values)
