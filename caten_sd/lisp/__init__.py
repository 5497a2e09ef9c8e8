"""Lisp models as attrs classes: a bounded reader, an evaluator of slot forms, and the classes.

Nothing here runs Lisp code on a computer's files or asks Python to evaluate text.
"""
