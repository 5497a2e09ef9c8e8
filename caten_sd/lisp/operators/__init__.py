"""Caten's functions on tensors as data: the name in Lisp, the function here, the arguments."""
