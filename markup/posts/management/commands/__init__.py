"""The management commands of the posts app."""
