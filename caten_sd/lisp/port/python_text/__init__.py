"""Python as text: expressions with their types, lines in blocks, and where long lines break."""
