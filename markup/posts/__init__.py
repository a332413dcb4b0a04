"""Posts: writing them, rendering them once, and serving them to readers."""
