"""Function apps: their triggers and bindings, and where their functions run."""
