"""The user model, the site's own from the first migration so that it can grow without a change of tables."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """Somebody who can sign in to the admin, and whose name stands under posts."""

    @property
    def display_name(self) -> str:
        """The name readers see: first and last name, or the user name where there is neither."""
        return self.get_full_name() or self.get_username()
