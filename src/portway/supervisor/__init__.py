"""The parent process: starts, watches, replaces and ends all others, and serves nothing itself."""
