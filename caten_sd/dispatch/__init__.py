"""Generic functions: CLOS's method order and combination, with multipledispatch's interface."""
