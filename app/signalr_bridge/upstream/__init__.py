"""The trigger binding: the service calls us with events, and handlers answer them, in Python or over HTTP."""
