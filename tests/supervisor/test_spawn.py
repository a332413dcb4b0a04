"""Forking: every test runs a small program, because signals and children belong to the process."""

import textwrap

import pytest


@pytest.fixture
def run(launch):
    """Return a function that runs a program after some imports, and returns its exit code and output."""

    def run(source):
        program = "import os, signal, sys, threading, time\nfrom portway.supervisor import signals, spawn\n"
        process = launch("-c", program + textwrap.dedent(source))
        return process.wait(), process.log

    return run


def test_a_child_ends_with_what_its_function_returns(run):
    code, _ = run("""
        pid = spawn.fork(lambda: 17)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 17
    """)
    assert code == 0


def test_nothing_of_the_caller_goes_on_in_the_child(run):
    code, log = run("""
        import atexit
        atexit.register(print, "at exit", flush=True)
        try:
            pid = spawn.fork(lambda: 1 / 0)
            os.waitpid(pid, 0)
        finally:
            print("finally", flush=True)
    """)
    assert code == 0
    assert log.splitlines().count("finally") == 1
    assert log.splitlines().count("at exit") == 2


@pytest.mark.parametrize(
    ("body", "code"), [("1 / 0", 1), ("sys.exit(5)", 5), ("sys.exit('words')", 1), ("sys.exit()", 1)]
)
def test_whatever_a_child_raises_it_ends(run, body, code):
    assert (
        run(f"""
        def main():
            {body}
        pid = spawn.fork(main)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code == {code}, code
    """)[0]
        == 0
    )


def test_an_error_at_the_very_end_does_not_change_the_end(run):
    code, log = run("""
        import atexit
        def main():
            atexit.register(lambda: 1 / 0)
            return 3
        pid = spawn.fork(main)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    """)
    assert code == 0
    assert "ZeroDivisionError" in log


def test_threads_that_do_not_end_keep_no_child(run):
    assert (
        run("""
        def main():
            threading.Thread(target=threading.Event().wait).start()
            return 4
        pid = spawn.fork(main)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    """)[0]
        == 0
    )


def test_a_child_has_signals_of_its_own(run):
    assert (
        run("""
        queue = signals.SignalQueue()
        queue.open()
        def main():
            assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
            for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGINT):
                signal.raise_signal(number)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            signal.raise_signal(signal.SIGTERM)
            return 0
        pid = spawn.fork(main, deaf=[signal.SIGINT])
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        assert set(queue.take()) <= {signal.SIGCHLD}
        signal.raise_signal(signal.SIGUSR1)
        assert signal.SIGUSR1 in queue.take()
        queue.close()
    """)[0]
        == 0
    )


def test_quit_ends_a_child_without_a_dump(run):
    assert (
        run("""
        pid = spawn.fork(lambda: signal.raise_signal(signal.SIGQUIT) or 0)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGINT
        assert not os.WCOREDUMP(status)
    """)[0]
        == 0
    )


def test_a_detached_child_becomes_that_of_the_ancestor_that_adopts(run):
    assert (
        run("""
        spawn.adopt_orphans()
        reader, writer = os.pipe()
        def mold():
            spawn.fork_detached(lambda: 6, lambda pid: os.write(writer, b"%d" % pid))
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return 0
            return 1
        pid = spawn.fork(mold)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        worker_pid = int(os.read(reader, 20))
        assert os.waitstatus_to_exitcode(os.waitpid(worker_pid, 0)[1]) == 6
    """)[0]
        == 0
    )


def test_a_detached_child_begins_after_it_was_announced(run):
    assert (
        run("""
        spawn.adopt_orphans()
        reader, writer = os.pipe()
        def announce(pid):
            time.sleep(0.2)
            os.write(writer, b"announced ")
        spawn.fork_detached(lambda: os.write(writer, b"begun") and 0, announce)
        os.waitpid(-1, 0)
        assert os.read(reader, 100) == b"announced begun"
    """)[0]
        == 0
    )


def test_a_child_that_cannot_be_announced_does_not_begin(run):
    code, log = run("""
        spawn.adopt_orphans()
        def announce(pid):
            raise BrokenPipeError(32, "Broken pipe")
        try:
            spawn.fork_detached(lambda: print("begun", flush=True) or 0, announce)
        except OSError as error:
            assert error.errno == 32, error
        else:
            sys.exit("no error")
        assert os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]) == 1
    """)
    assert (code, log) == (0, "")


def test_a_fork_that_the_system_refuses_is_an_error_here(run):
    program = """
        import resource
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        for fork in (spawn.fork, lambda main: spawn.fork_detached(main, print)):
            try:
                fork(lambda: 0)
            except BlockingIOError:
                pass
            else:
                sys.exit("forked")
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    """
    assert run(program)[0] == 0


def test_a_child_ends_with_its_parent_if_it_asked_for_it(run):
    assert (
        run("""
        spawn.adopt_orphans()
        def child(parent):
            spawn.end_with_parent(parent)
            threading.Event().wait()
            return 0
        def middle():
            me = os.getpid()
            reader, writer = os.pipe()
            def main():
                spawn.end_with_parent(me)
                os.write(writer, b".")
                threading.Event().wait()
                return 0
            spawn.fork(main)
            os.read(reader, 1)
            return 0
        pid = spawn.fork(middle)
        os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]) == -signal.SIGKILL
    """)[0]
        == 0
    )


def test_a_child_whose_parent_has_gone_already_ends_at_once(run):
    assert (
        run("""
        def main():
            spawn.end_with_parent(1)
            return 0
        pid = spawn.fork(main)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    """)[0]
        == 0
    )


def test_ends_are_described(run):
    code, log = run("""
        print("; ".join(map(spawn.describe_end, (0, 3 << 8, 9, 34))))
    """)
    assert code == 0
    assert log == "exited with 0; exited with 3; was killed by SIGKILL; was killed by SIGRTMIN"
