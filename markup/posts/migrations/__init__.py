"""The history of the posts tables."""
