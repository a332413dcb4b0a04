"""Threads that Python does not know: whose they are."""

import ctypes
import os
import sys

from portway.supervisor import native_threads


def in_child(function):
    """Run a function in a process of its own, because such threads never end; return what it printed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, repr(function()).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


def start_thread():
    """Start a thread that waits in the C library for ever."""
    libc = ctypes.CDLL(None)
    libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, libc.pause, None)


def test_a_process_without_such_threads_has_none():
    assert in_child(native_threads.native_threads) == "[]"


def test_a_thread_of_no_library_has_its_own_name():
    def run():
        start_thread()
        return native_threads.native_threads()

    with open("/proc/self/comm") as file:
        assert in_child(run) == repr([file.read().strip()])


def test_a_thread_is_told_by_the_library_on_its_stack():
    def run():
        # A function of a library of Python's own that never returns, called by nobody but C: pause() as the last
        # frame, and the library's below it, is what waiting looks like.
        import sqlite3

        with open("/proc/self/maps") as maps:
            libraries = [line.split()[-1] for line in maps if "libsqlite3" in line]
        if not libraries:
            return "no sqlite3 library"
        library = ctypes.CDLL(libraries[0])
        # sqlite3_sleep(ms) takes one argument, as a thread's function does: a pointer read as a number.
        library.sqlite3_initialize()
        ctypes.CDLL(None).pthread_create(
            ctypes.byref(ctypes.c_ulong()), None, library.sqlite3_sleep, ctypes.c_void_p(10_000_000)
        )
        found = []
        while not any("libsqlite3" in owner for owner in found):
            found = native_threads.native_threads()
        assert sqlite3
        return [owner.partition(".")[0] for owner in found]

    assert in_child(run) in ("['libsqlite3']", "'no sqlite3 library'")


def test_libraries_that_survive_a_fork_do_not_count(monkeypatch):
    monkeypatch.setattr(native_threads, "_SURVIVE", ("python", "pytest"))

    def run():
        start_thread()
        return native_threads.native_threads()

    assert in_child(run) == "[]"


def test_a_thread_that_has_ended_is_nobodys():
    assert native_threads.owner_of(2**30) == ""
    assert sys.platform == "linux"
