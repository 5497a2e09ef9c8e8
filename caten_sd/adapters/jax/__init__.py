"""JAX: arrays that cannot be changed, abstract shapes, PRNG keys, and arrays over many devices."""

from caten_sd.adapters.jax import arrays, places, traced

__all__ = ["arrays", "places", "traced"]
