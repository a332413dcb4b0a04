"""Static and media files, answered without the application."""
