"""Child processes never outlive the lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.errors import LabError
from meshlab.processes.inotify import free_inotify_instances
from meshlab.processes.supervisor import NoInotifyInstanceError, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

SLEEPER = [
    sys.executable,
    "-c",
    "import time; print('listening 127.0.0.1:4711', flush=True); time.sleep(600)",
]
STUBBORN = [
    sys.executable,
    "-c",
    """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('listening 127.0.0.1:4711', flush=True)
time.sleep(600)
""",
]


def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_child_announces_its_port_and_ends_with_the_supervisor() -> None:
    with Supervisor() as supervisor:
        child = supervisor.spawn("sleeper", SLEEPER)
        assert child.listening_port() == 4711
        assert child.running
        directory = supervisor.directory
    assert not child.running
    assert not directory.exists()


def test_a_process_with_many_open_files_reads_the_port_of_a_child() -> None:
    taken: list[int] = []
    try:
        while not taken or taken[-1] <= 1024:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        with Supervisor() as supervisor:
            assert supervisor.spawn("sleeper", SLEEPER).listening_port() == 4711
    except OSError as error:
        pytest.skip(
            f"this machine opens no more files ({error}); it would have shown that the number is no limit"
        )
    finally:
        for descriptor in taken:
            os.close(descriptor)


def test_the_directory_of_a_run_is_private() -> None:
    with Supervisor() as supervisor:
        assert supervisor.directory.stat().st_mode & 0o077 == 0


def test_a_child_that_ignores_sigterm_is_killed() -> None:
    supervisor = Supervisor()
    child = supervisor.spawn("stubborn", STUBBORN)
    child.listening_port()
    child.end(grace_s=0.1)
    assert not child.running
    supervisor.close()


def test_a_child_that_dies_at_once_is_reported_with_the_end_of_its_log() -> None:
    with Supervisor() as supervisor:
        child = supervisor.spawn("doomed", [sys.executable, "-c", "raise SystemExit('the reason')"])
        with pytest.raises(LabError, match=r"doomed did not announce its port.*\n.*the reason"):
            child.listening_port()


def test_an_exception_in_the_lab_ends_its_children() -> None:
    children = []

    def lab_that_crashes() -> None:
        with Supervisor() as supervisor:
            children.append(supervisor.spawn("sleeper", SLEEPER))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        lab_that_crashes()
    assert not children[0].running


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGABRT])
def test_children_and_keys_are_gone_after_the_lab_was_killed(end: signal.Signals, tmp_path: Path) -> None:
    lab = textwrap.dedent(f"""
        import sys, time
        from meshlab.processes.supervisor import Supervisor
        supervisor = Supervisor()
        child = supervisor.spawn("sleeper", {SLEEPER!r})
        child.listening_port()
        (supervisor.directory / "key.pem").write_text("secret")
        print(child.pid, supervisor.directory, flush=True)
        time.sleep(600)
    """)
    process = subprocess.Popen([sys.executable, "-c", lab], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert process.stdout is not None
        pid_text, directory = process.stdout.readline().split()
        process.stdout.close()
        assert alive(int(pid_text))
        process.send_signal(end)
    finally:
        process.wait(10)
    assert eventually(lambda: not alive(int(pid_text)))
    assert eventually(lambda: not Path(directory).exists())


def test_a_child_that_was_stopped_may_be_stopped_again() -> None:
    with Supervisor() as supervisor:
        child = supervisor.spawn("sleeper", SLEEPER)
        for _ in range(2):
            supervisor.stop(child)
        assert not child.running


def test_the_end_of_an_envoys_log_is_why_it_gave_up_and_not_its_stack_trace() -> None:
    """As Envoy writes it where a user has no inotify instance left: one line says what to do, and thirty do not."""
    reason = "[critical][assert] [watcher_impl.cc:25] assert failure: inotify_fd_ >= 0. Details: too few"
    traced = ["[error][envoy_bug] [assert.h:66] #1 UNKNOWN [0x55]"] * 20
    traced += ["[critical][backtrace] [backtrace.h:167] #0: [0x7f]"] * 20
    code = f"import sys; sys.stderr.write({chr(10).join([reason, *traced])!r}); sys.exit(134)"
    with Supervisor() as supervisor:
        child = supervisor.spawn("proxy", [sys.executable, "-c", code])
        with pytest.raises(
            NoInotifyInstanceError, match=r"sysctl fs\.inotify\.max_user_instances(.|\n)*inotify_fd_"
        ) as caught:
            child.wait_until(lambda: False, "did not get ready")
    assert "#0" not in str(caught.value)


def test_an_envoy_that_ends_for_another_reason_than_one_before_it_in_the_log_had_room() -> None:
    lines = ["assert failure: inotify_fd_ >= 0. Details: too few", "[critical] unknown field"]
    code = f"import sys; sys.stderr.write({chr(10).join(lines)!r}); sys.exit(1)"
    with Supervisor() as supervisor:
        child = supervisor.spawn("proxy", [sys.executable, "-c", code])
        with pytest.raises(LabError) as caught:
            child.wait_until(lambda: False, "did not get ready")
    assert not isinstance(caught.value, NoInotifyInstanceError)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no inotify")
def test_what_is_free_of_inotify_is_counted_and_given_back() -> None:
    assert free_inotify_instances(0) == 0
    first = free_inotify_instances(3)
    assert 0 <= first <= 3
    links = [link.name for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    free_inotify_instances(3)
    assert [link.name for link in Path("/proc/self/fd").iterdir() if link.is_symlink()] == links
