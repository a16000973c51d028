"""What identities bring and get: Entra tokens, checked, and signing keys, issued."""
