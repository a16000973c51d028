"""What all HTTP routes share: listeners, callers and their rights, bodies, names in paths, problems and logs."""
