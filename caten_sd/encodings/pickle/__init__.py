"""Pickle read as data: an interpreter of its opcodes that imports nothing and calls nothing."""
