"""The trigger: the service calls us, and handlers answer, in Python or over HTTP."""
