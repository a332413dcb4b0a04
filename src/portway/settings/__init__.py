"""The settings: one table, and what is derived from it."""
