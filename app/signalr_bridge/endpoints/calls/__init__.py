"""One operation on one endpoint or on many: attempts, retries, a breaker, and the fan-out."""
