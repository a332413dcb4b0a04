"""Gunicorn's settings for the markup site behind Nginx (deploy/nginx.conf).

    cd markup && gunicorn -c ../deploy/gunicorn.conf.py markup.wsgi:application

Portway takes the same file, by its -c: every setting here is one that both have. Flags win over the file, so
`--bind unix:/run/markup/gunicorn.sock` listens on a Unix socket instead.
"""

import os

# Where Nginx finds the server: `server` in the upstream of nginx.conf. With systemd's socket activation the
# socket unit says where, and this line has no say.
bind = "127.0.0.1:8000"
# Connections that may wait to be accepted; the kernel's net.core.somaxconn is a bound too.
backlog = 2048

# A worker for each CPU, two at least, so that one of them can be replaced. (2 x cores) + 1, as guides have
# it, is the upper bound, not where to start: each is a copy of the site in memory, and has threads.
workers = int(os.environ.get("WEB_CONCURRENCY") or max(2, len(os.sched_getaffinity(0))))
# Threads in each, so that a request that waits for the database stops no other. Each is also a database
# connection: workers x threads must stay below what the database allows.
worker_class = "gthread"
threads = 4

# Seconds. Gunicorn replaces a worker that shows no sign of life for so long; Portway answers 504 to a request
# that takes longer. Nginx waits longer than either (proxy_read_timeout).
timeout = 30
# Seconds for the requests that run when the server is told to stop. systemd waits longer (TimeoutStopSec).
graceful_timeout = 30
# Seconds that an idle connection stays open: longer than Nginx keeps it (keepalive_timeout in its upstream),
# or Nginx would now and then send a request into a connection that is being closed, and answer 502.
# Gunicorn's default of 2 is for no proxy at all.
keepalive = 75

# Whose X-Forwarded-Proto (and, by Portway, X-Forwarded-For) is believed: Nginx, which comes over loopback. Of
# peers on a Unix socket both servers believe it anyway. Never "*" while others can reach the port.
forwarded_allow_ips = "127.0.0.1,::1"
# Nobody sets SCRIPT_NAME by a header field.
forwarder_headers = ""

# The access log is Nginx's, which knows more. "-" for one here as well, on standard output.
accesslog = None
# Errors go to standard error, where systemd and containers look for them.
errorlog = "-"
loglevel = "info"

# What the processes are called in ps, where setproctitle is installed.
proc_name = "markup"
# Gunicorn makes a control socket in the home of its user, who has none; systemd and signals do.
control_socket_disable = True

# Left to each server, because it means something else to it:
#
# preload_app   Gunicorn: import once, before forking. Then a HUP does not load new code; only a restart does.
#               Portway always imports once and still loads new code at HUP.
# worker_tmp_dir = "/dev/shm"   Gunicorn's workers show that they live by touching a file; where /tmp is on a
#               slow disk, keep it in memory. Portway's workers need no file.
# max_requests  Replaces workers now and then, against leaks. Portway starts the new one before the old one goes.
