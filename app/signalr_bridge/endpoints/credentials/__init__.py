"""What opens an endpoint: an access key, or an identity with its token and the signing key that the service issues."""
