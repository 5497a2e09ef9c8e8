"""The special forms and macros of Common Lisp: one file a kind."""
