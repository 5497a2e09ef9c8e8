"""Evaluate forms of a Lisp file within bounds."""
