"""What a `Builder` is made of."""
