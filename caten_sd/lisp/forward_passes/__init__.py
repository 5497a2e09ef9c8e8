"""Call the models of a Lisp file: methods, input shapes, forward passes."""
