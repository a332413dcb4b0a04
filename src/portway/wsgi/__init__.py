"""WSGI: from a parsed request to environ, the application called, its response given to a sink."""
