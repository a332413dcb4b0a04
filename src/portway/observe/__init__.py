"""What can be seen of the server from outside: logs, the access log, the scoreboard."""
