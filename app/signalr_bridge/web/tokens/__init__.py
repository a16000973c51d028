"""Tokens of other issuers: what they say, checked against the keys that the issuers publish."""
