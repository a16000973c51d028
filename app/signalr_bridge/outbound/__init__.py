"""The output binding over HTTP: callers send messages and change groups, and the sender behind it."""
