"""Orbax: its folders, the OCDBT store, zarr arrays and the format itself."""
