"""The rules, one a module; a rule of yours is one more (docs/aggregation.md)."""
