"""JAX: arrays that cannot be changed, abstract shapes, PRNG keys, and arrays over many devices."""

from caten_sd.adapters.jax import array_leaves, new_arrays, traced

__all__ = ["array_leaves", "new_arrays", "traced"]
