"""Functional forms used by two models or more."""
