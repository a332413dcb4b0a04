"""One worker process: its threads, its loop and its connections."""
