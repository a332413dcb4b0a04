"""Django projects: found on disk, asked for what to serve."""
