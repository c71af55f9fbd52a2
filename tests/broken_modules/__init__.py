"""Modules of a careless user."""
