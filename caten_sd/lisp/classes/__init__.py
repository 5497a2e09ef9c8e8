"""The models of a Lisp file as classes, and what their slots hold."""
