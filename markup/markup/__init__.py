"""The project: settings, URLs and the WSGI application of the markup site."""
