"""Numerics: small building blocks that are safe in batches, on JAX alone; descent by optax."""
