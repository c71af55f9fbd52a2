"""Needs what is not there."""

raise RuntimeError("no GPU here")
