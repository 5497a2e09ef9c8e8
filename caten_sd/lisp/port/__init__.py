"""Write the models of a Lisp file as Python that needs no Lisp when it runs."""
