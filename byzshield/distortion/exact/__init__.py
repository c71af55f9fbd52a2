"""The exact search for the worst case, and the enumeration for cases too small for it; docs/distortion.md proves its steps."""
