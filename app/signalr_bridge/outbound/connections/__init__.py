"""Groups, users and connections, one by one: changes, questions, lists of members, and calls of a client."""
