"""What can go wrong when a post is rendered."""


class RenderError(ValueError):
    """The source cannot be rendered; the message tells the author why."""
