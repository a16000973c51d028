"""The settings section by section: every name, its type, its default and its bounds."""
