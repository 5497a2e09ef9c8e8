"""The definitions of a Lisp file as values; nothing is evaluated."""
