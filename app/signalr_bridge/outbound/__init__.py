"""The output binding over HTTP: callers send messages and change groups. The sender is behind it."""
