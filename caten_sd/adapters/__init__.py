"""One file per foreign package, named as the package; imported when its first object is met."""
