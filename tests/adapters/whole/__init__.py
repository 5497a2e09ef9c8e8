"""A small transformer and a convolutional network, written in each framework as is usual there."""
