"""Translate the forms of Lisp into Python: one file a kind."""
