"""Studies: from a YAML file to a complete, labelled zarr store."""
