"""Portway's settings for the markup site behind Nginx (deploy/nginx.conf), as deploy/portway.service uses it.

    cd markup && portway -c ../deploy/portway.conf.py

Only what differs from the defaults, or what Nginx must agree with, is set; `portway -c FILE --print-config`
shows the rest. After a change: `systemctl reload portway`. Gunicorn's own file is gunicorn.conf.py.
"""

# The application. Without this line Portway finds the project by its manage.py.
wsgi_app = "markup.wsgi:application"

# Where Nginx finds the server: `server` in the upstream of nginx.conf. Where portway.socket is in use,
# systemd has opened the socket already, and this line has no say.
bind = ["127.0.0.1:8000"]

# Workers: one for each CPU that the cgroup grants, fewer where memory is short. A number here overrides that;
# each worker has so many threads, and each thread a database connection.
# workers = 2
threads = 4

# Seconds. What the neighbours have must fit around these:
# a request may take so long in Django; Nginx waits longer (proxy_read_timeout, 60 s).
timeout = 30
# Requests that run may take so long to finish when the server stops; systemd waits longer (TimeoutStopSec).
graceful_timeout = 30
# An idle connection stays open so long; Nginx closes it sooner (keepalive_timeout in its upstream, 60 s).
keepalive = 75

# The largest request body. As Nginx's client_max_body_size.
max_body = "100m"

# Whose X-Forwarded-For and X-Forwarded-Proto are believed: Nginx, which comes over loopback. A peer on a Unix
# socket always is. Never "*" while others can reach the port.
forwarded_allow_ips = "127.0.0.1,::1"

# Nginx serves /static/ and /media/. Portway could as well, and does for requests that reach it; False leaves
# them to Nginx alone.
auto_static = False

# Health for whoever asks the server itself: http://127.0.0.1:8000/-/live and /-/ready.
health_path = "/-/"

# The access log is Nginx's. "-" for one here as well, on standard output, which the journal keeps.
accesslog = None
proc_name = "markup"
