"""What the values of two models prove: the layout between them, what differs, where they part."""
