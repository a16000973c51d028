"""The HTTP edge that all flows share: callers, problems, bodies, names in paths, logs."""
