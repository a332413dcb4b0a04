"""Workers that are replaced by and by while clients keep asking: none of them notices."""

import os
import re
import signal

import pytest

pytestmark = pytest.mark.functional

COUNTED = """
import os

BODY = b"{version}"

def application(environ, start_response):
    if environ["PATH_INFO"] == "/eat":
        global eaten
        eaten = bytearray(b"x") * 2**27
    if environ["PATH_INFO"] == "/pid":
        body = str(os.getpid()).encode()
    else:
        body = BODY
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""

BROKEN = "import nothing_of_this_name\n"

REPLACED = r"Worker (\d+) \(process (\d+)\) (.+): replaced by process (\d+)\."


def counted(version):
    return COUNTED.replace("{version}", str(version))


def replacements(server):
    """Return (process, reason, process that replaced it) of each worker that was recycled so far."""
    return [(int(m[2]), m[3], int(m[4])) for m in re.finditer(REPLACED, server.log)]


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_rounds_of_recycling_by_requests_lose_no_request(serve, project, load, preload):
    flags = ["--workers", 3, "--threads", 2, "--max-requests", 100, "--max-requests-jitter", 20]
    server = serve("app", preload, *flags, cwd=project(counted(1)))
    with load(server, clients=6) as clients:
        server.wait_for_log(REPLACED, 9)
        clients.wait_for(100)
    assert not clients.failures
    assert clients.bodies == {b"1"}
    done = replacements(server)
    assert len({old for old, _, _ in done}) == len(done)
    assert len({new for _, _, new in done}) == len(done)
    for _, reason, _ in done:
        found = re.fullmatch(
            r"has answered ([\d,]+) requests \(max_requests 100(?: and (\d+) of jitter)?\)", reason
        )
        assert found
        assert 0 <= int(found[2] or 0) <= 20
        assert int(found[1].replace(",", "")) >= 100 + int(found[2] or 0)
    assert "ERROR" not in server.log


def test_recycling_by_lifetime_loses_no_request(serve, project, load):
    server = serve("app", "--workers", 2, "--max-lifetime", 0.5, cwd=project(counted(1)))
    with load(server, clients=4) as clients:
        server.wait_for_log(REPLACED, 6)
        clients.wait_for(100)
    assert not clients.failures
    for _, reason, _ in replacements(server):
        assert re.fullmatch(r"has lived for \d+ s \(max_lifetime 0\.5\)", reason)


def test_a_worker_that_has_grown_is_replaced(serve, project, load):
    server = serve("app", "--workers", 2, "--max-rss", "96m", cwd=project(counted(1)))
    with load(server, clients=2) as clients:
        fat = int(server.get("/pid", client=(client := server.connect())).text)
        server.get("/eat", client=client)
        client.close()
        found = server.wait_for_log(REPLACED)
        clients.wait_for(50)
    assert not clients.failures
    assert int(found[2]) == fat
    assert re.fullmatch(r"takes 1\d\d\.\d MiB of memory \(max_rss 96m\)", found[3])


HANGS = COUNTED.replace(
    '    if environ["PATH_INFO"] == "/pid":',
    """    if environ["PATH_INFO"] == "/hang":
        import time
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                pass
    if environ["PATH_INFO"] == "/pid":""",
)


def test_workers_whose_threads_hang_are_replaced_at_once(serve, project, load):
    """Each of the two has lost its only thread. The second does not wait until the first has given up draining."""
    flags = ["--workers", 2, "--threads", 1, "--timeout", 1, "--graceful-timeout", 20]
    server = serve("app", *flags, cwd=project(HANGS.replace("{version}", "1")))
    hung = {}
    while len(hung) < 2:
        client = server.connect()
        process = server.get("/pid", client=client).text
        if process in hung:
            client.close()
        else:
            hung[process] = client
    for client in hung.values():
        client.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
    for client in hung.values():
        assert client.recv(100).startswith(b"HTTP/1.1 504 ")
        client.close()
    server.wait_for_log(REPLACED, 2)
    done = replacements(server)
    assert {str(process) for process, _, _ in done} == set(hung)
    for process, reason, _ in done:
        assert re.fullmatch(r"asks for it \(GET /hang took longer than its time .*\)", reason)
        # It drains, and its thread still hangs.
        os.kill(process, 0)
    with load(server, clients=4) as clients:
        clients.wait_for(50)
    assert not clients.failures
    server.send(signal.SIGINT)


def test_recycled_workers_do_not_see_code_that_is_broken_on_disk(serve, project, load):
    folder = project(counted(1))
    server = serve("app", "--workers", 2, "--max-requests", 100, cwd=folder)
    project(BROKEN)
    with load(server, clients=4) as clients:
        server.wait_for_log(REPLACED, 4)
        clients.wait_for(100)
    assert not clients.failures
    assert clients.bodies == {b"1"}
    assert "ERROR" not in server.log
    assert "nothing_of_this_name" not in server.log
    # The generation that a reload does not get past is the same one, and goes on recycling.
    server.send(signal.SIGHUP)
    server.wait_for_log("Not reloaded, generation 1 keeps serving:")
    with load(server, clients=4) as clients:
        server.wait_for_log(REPLACED, len(replacements(server)) + 4)
    assert not clients.failures
    assert clients.bodies == {b"1"}


def test_without_preload_broken_code_on_disk_keeps_the_old_workers(serve, project, load):
    flags = ["--no-preload", "--workers", 2, "--max-requests", 100]
    server = serve("app", *flags, cwd=project(counted(1)))
    project(BROKEN)
    with load(server, clients=4) as clients:
        server.wait_for_log(r"Worker \d+ \(process \d+\) did not boot and is tried again:", 2)
        clients.wait_for(100)
        assert replacements(server) == []
        project(counted(2))
        server.wait_for_log(REPLACED)
        clients.wait_for(100)
    assert not clients.failures
    assert clients.bodies <= {b"1", b"2"}


def test_a_release_behind_a_link_is_the_reloads_and_not_the_recycled_workers(serve, project, load):
    for number in (1, 2):
        project(counted(number), f"releases/{number}/app.py")
        # Imported by each worker, when it is asked the first time.
        project(f"VERSION = {number}\n", f"releases/{number}/lib/lazily.py")
        project(
            counted(number).replace(
                "    if environ",
                "    import lazily\n    assert lazily.VERSION == int(BODY)\n    if environ",
                1,
            ),
            f"releases/{number}/app.py",
        )
    folder = project("")
    current = folder / "current"
    current.symlink_to(folder / "releases" / "1")
    flags = ["--chdir", current, "--pythonpath", "lib", "--workers", 2, "--max-requests", 50]
    server = serve("app", *flags)
    with load(server, clients=4) as clients:
        clients.wait_for(10)
        beside = folder / "next"
        beside.symlink_to(folder / "releases" / "2")
        os.replace(beside, current)
        # Those that come now are of the release that their generation began with.
        server.wait_for_log(REPLACED, len(replacements(server)) + 4)
        assert clients.bodies == {b"1"}
        server.send(signal.SIGHUP)
        server.wait_for_log("Reloaded: generation 2")
        server.wait_for_log(REPLACED, len(replacements(server)) + 2)
        server.wait_for_answer("2")
    assert not clients.failures
    assert clients.bodies == {b"1", b"2"}
