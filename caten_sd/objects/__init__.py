"""Live objects: their slots, how a value gets into one, and who holds one together."""
