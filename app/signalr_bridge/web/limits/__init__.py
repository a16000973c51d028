"""How much at most: rates for each caller and each client address, and how many requests at once."""
