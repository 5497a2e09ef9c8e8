"""Read Lisp text into data, within bounds; nothing is evaluated."""
