"""Arrays inside jax.jit, jax.grad or jax.vmap: they have no values, so they are refused."""

from __future__ import annotations

from typing import Any, NoReturn

import jax

from caten_sd.errors import CatenError, StateDictError
from caten_sd.objects.extract import to_state_dict
from caten_sd.state.keys import Path, path_text
from caten_sd.state.leaf import Numpy, Spec, as_array, spec

_FIX = "do this outside the function that jax.jit, jax.grad or jax.vmap transforms"


@to_state_dict.register(jax.core.Tracer)
def _refused(tracer: Any, parent: Path, /) -> NoReturn:
    raise StateDictError(f"{path_text(parent)} is traced by JAX and has no values: {_FIX}")


@spec.register(jax.core.Tracer)
def _spec(tracer: Any, /) -> Spec:
    return spec(jax.ShapeDtypeStruct(tracer.shape, tracer.dtype))


@as_array.register(Numpy, jax.core.Tracer)
def _no_values(kind: Numpy, tracer: Any, /) -> NoReturn:
    raise CatenError(
        f"a {list(tracer.shape)} array ({tracer.dtype}) is traced by JAX and has no values: {_FIX}"
    )
