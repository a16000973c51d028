"""Backend → us → service: the output binding over HTTP, and the sender behind it."""
