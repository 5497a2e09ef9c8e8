"""The functions of Common Lisp that a model may call: on numbers, lists and sequences."""
