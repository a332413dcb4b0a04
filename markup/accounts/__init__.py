"""The people who write: the site's own user model."""
