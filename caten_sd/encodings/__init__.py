"""Zip, tar, pickle, msgpack and npy, each read in place and within bounds."""
