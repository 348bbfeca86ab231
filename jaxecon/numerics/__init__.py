"""Numerics: small, batched-safe building blocks, thin over optimistix, diffrax and lineax."""
