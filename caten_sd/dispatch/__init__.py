"""Generic functions: CLOS's order and method combination over multipledispatch."""
