"""One fetch for all who need a token: threads, tasks, event loops, forked children, frozen processes."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterator

import meshpass
import pytest
from meshpass._tokens import cache
from meshpass._tokens.cache import CachedSource


class Clock:
    """Both clocks, as a test sets them."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_800_000_000.0, 1000.0

    def pass_s(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


class Issuer:
    """Where tokens come from in these tests. `gate` holds a fetch until it is opened."""

    def __init__(self) -> None:
        self.fetches = 0
        self.at_once = 0
        self.most_at_once = 0
        self.threads: list[threading.Thread] = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.life_s = 3600.0
        self.errors: list[BaseException] = []

    def issue(self, now: float) -> meshpass.Token:
        self.fetches += 1
        number = self.fetches
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        self.threads.append(threading.current_thread())
        self.entered.set()
        try:
            assert self.gate.wait(20)
            if self.errors:
                raise self.errors.pop(0)
            return meshpass.Token(f"token-{number}", now + self.life_s, "Source")
        finally:
            self.at_once -= 1


class Source(CachedSource):
    """A source that takes its tokens from an `Issuer`; equal where the issuer and the audience are."""

    def __init__(self, issuer: Issuer, audience: str = "a", clock: Clock | None = None) -> None:
        self._issuer, self._audience = issuer, audience
        if clock is not None:
            self._clock = lambda: clock.wall
            self._monotonic = lambda: clock.monotonic

    def _cache_key(self) -> Hashable:
        return self._issuer, self._audience

    def _fetch(self, deadline_s: float) -> meshpass.Token:
        return self._issuer.issue(self._clock())


class CheapSource(Source):
    _fetch_is_cheap = True


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.gate.set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def waiting_for(source: Source) -> int:
    """How many wait for the fetch that is under way: threads by its condition, tasks by its callbacks."""
    fetch = source._entry.fetch
    if fetch is None:
        return 0
    return len(fetch._condition._waiters) + len(fetch._done_callbacks)  # type: ignore[attr-defined]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread is about to do."""
    ends_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.001)


Results = list[meshpass.Token | BaseException]


@contextlib.contextmanager
def threads_asking(source: Source, number: int) -> Iterator[Results]:
    results: Results = []

    def ask() -> None:
        try:
            results.append(source.token())
        except BaseException as exc:  # noqa: BLE001
            results.append(exc)

    threads = [threading.Thread(target=ask) for _ in range(number)]
    for thread in threads:
        thread.start()
    yield results
    for thread in threads:
        thread.join()


async def tasks_asking(source: Source, number: int) -> Results:
    return await asyncio.gather(*(source.atoken() for _ in range(number)), return_exceptions=True)


def test_32_threads_and_1000_tasks_at_once_make_one_fetch(issuer: Issuer) -> None:
    source = Source(issuer)
    issuer.gate.clear()

    async def tasks() -> Results:
        asking = asyncio.create_task(tasks_asking(source, 1000))
        await asyncio.to_thread(until, lambda: waiting_for(source) >= 1000 + 31)
        issuer.gate.set()
        return await asking

    with threads_asking(source, 32) as of_threads:
        of_tasks = asyncio.run(tasks())

    assert issuer.fetches == 1
    assert len(of_threads) + len(of_tasks) == 1032
    assert {token.value for token in of_threads + of_tasks if isinstance(token, meshpass.Token)} == {
        "token-1"
    }


def test_one_failing_fetch_answers_all_who_wait(issuer: Issuer) -> None:
    source = Source(issuer)
    issuer.gate.clear()
    issuer.errors = [meshpass.SigningKeyError("No way.", hint="Look.")]

    async def tasks() -> Results:
        asking = asyncio.create_task(tasks_asking(source, 1000))
        await asyncio.to_thread(until, lambda: waiting_for(source) >= 1000 + 31)
        issuer.gate.set()
        return await asking

    with threads_asking(source, 32) as of_threads:
        of_tasks = asyncio.run(tasks())

    assert issuer.fetches == 1
    assert [str(error) for error in of_threads + of_tasks] == ["No way. Look."] * 1032
    assert len({id(error) for error in of_threads + of_tasks}) == 1032


def test_those_who_wait_hear_of_an_error_without_the_frames_that_made_it(issuer: Issuer) -> None:
    source = Source(issuer)
    issuer.gate.clear()
    issuer.errors = [meshpass.SigningKeyError("No way.")]

    with threads_asking(source, 2) as errors:
        until(lambda: waiting_for(source) == 1)
        issuer.gate.set()

    shown = ["issue" in "".join(traceback.format_exception(error)) for error in errors]  # type: ignore[arg-type]
    assert sorted(shown) == [False, True]


def test_equal_sources_share_a_token_and_others_do_not(issuer: Issuer) -> None:
    first = Source(issuer).token()

    assert Source(issuer).token() is first
    assert Source(issuer, "b").token() is not first
    assert Source(Issuer()).token() is not first


def test_a_source_made_anew_for_each_call_still_finds_its_token(issuer: Issuer) -> None:
    for _ in range(20):
        Source(issuer).token()
        gc.collect()

    assert issuer.fetches == 1


def test_many_audiences_do_not_pile_up(issuer: Issuer) -> None:
    for number in range(1000):
        Source(issuer, str(number)).token()
    gc.collect()

    assert sum(1 for entry in cache._entries.values()) <= cache._KEPT + 50


def test_a_cancelled_task_harms_no_other(issuer: Issuer) -> None:
    source = Source(issuer)
    issuer.gate.clear()

    async def run() -> list[object]:
        tasks = [asyncio.create_task(source.atoken()) for _ in range(10)]
        await asyncio.to_thread(issuer.entered.wait, 20)
        # The first one leads: it is the one whose end could take the fetch with it.
        for task in tasks[:5]:
            task.cancel()
        await asyncio.sleep(0)
        issuer.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(run())

    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True] * 5 + [False] * 5
    assert source.token().value == "token-1"
    assert issuer.fetches == 1


def test_an_event_loop_that_ends_harms_no_other(issuer: Issuer) -> None:
    source = Source(issuer)
    issuer.gate.clear()

    async def give_up() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(source.atoken(), 0.01)

    asyncio.run(give_up())
    with threads_asking(source, 1) as results:
        # One of the two is what the ended loop left behind.
        until(lambda: waiting_for(source) == 2)
        issuer.gate.set()

    assert isinstance(results[0], meshpass.Token)
    assert asyncio.run(source.atoken()) is results[0]
    assert issuer.fetches == 1


def test_several_event_loops_share_one_fetch(issuer: Issuer) -> None:
    source = Source(issuer)
    issuer.gate.clear()
    results: Results = []
    threads = [
        threading.Thread(target=lambda: results.extend(asyncio.run(tasks_asking(source, 5))))
        for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    until(lambda: waiting_for(source) == 20)
    issuer.gate.set()
    for thread in threads:
        thread.join()

    assert len(results) == 20
    assert issuer.fetches == len(set(map(id, results))) == 1


def test_asyncio_fetches_off_the_event_loop_and_leaves_no_thread_behind(issuer: Issuer) -> None:
    asyncio.run(tasks_asking(Source(issuer), 3))

    assert issuer.threads[0] is not threading.current_thread()
    until(lambda: not issuer.threads[0].is_alive())


def test_a_cheap_fetch_is_made_on_the_event_loop(issuer: Issuer) -> None:
    asyncio.run(tasks_asking(CheapSource(issuer), 3))

    assert issuer.threads == [threading.current_thread()]


def test_a_cheap_fetch_with_a_timeout_needs_no_thread_of_its_own(issuer: Issuer) -> None:
    CheapSource(issuer).token(timeout_s=5)

    assert issuer.threads == [threading.current_thread()]


def test_an_interrupted_fetch_is_taken_over_by_another_who_waits(issuer: Issuer) -> None:
    source = Source(issuer)
    issuer.gate.clear()
    issuer.errors = [KeyboardInterrupt()]

    with threads_asking(source, 8) as results:
        until(lambda: waiting_for(source) == 7)
        issuer.gate.set()

    interrupted = [result for result in results if isinstance(result, KeyboardInterrupt)]
    tokens = {result.value for result in results if isinstance(result, meshpass.Token)}
    assert (len(interrupted), tokens, issuer.fetches) == (1, {"token-2"}, 2)


def test_a_thread_that_cannot_be_started_leaves_no_caller_waiting(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(issuer)

    def no_more_threads(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more_threads)
        with pytest.raises(RuntimeError, match="new thread"):
            asyncio.run(source.atoken())

    assert asyncio.run(source.atoken()).value == "token-1"


def test_a_timeout_is_kept_and_the_fetch_goes_on_for_the_next_call(issuer: Issuer) -> None:
    source = Source(issuer)
    issuer.gate.clear()

    with pytest.raises(meshpass.MeshTimeout, match=r"There was no token within 0\.01 s"):
        source.token(timeout_s=0.01)
    with threads_asking(source, 1) as results:
        until(lambda: waiting_for(source) == 1)
        issuer.gate.set()

    assert source.token(timeout_s=0) is results[0]
    assert issuer.fetches == 1


def test_a_fetch_that_never_ends_is_given_up_for_lost(
    issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_LOST_AFTER_S", 0.01)
    stuck, free = Source(issuer, clock=clock), Source(issuer, clock=clock)
    issuer.gate.clear()

    with threads_asking(stuck, 1) as late:
        issuer.entered.wait(20)
        clock.pass_s(1)
        issuer.gate.set()
        taken = free.token()

    assert isinstance(late[0], meshpass.Token)
    assert free.token() is taken


def test_while_one_renews_a_token_all_others_go_on_with_the_old_one(issuer: Issuer, clock: Clock) -> None:
    source = Source(issuer, clock=clock)
    old = source.token()
    issuer.gate.clear()
    issuer.entered.clear()
    clock.pass_s(3400)

    with threads_asking(source, 1) as renewed:
        issuer.entered.wait(20)
        assert source.token() is old
        assert asyncio.run(source.atoken()) is old
        issuer.gate.set()

    assert source.token() is renewed[0] is not old
    assert issuer.fetches == 2


def test_a_token_that_is_still_valid_is_used_on_when_it_cannot_be_renewed(
    issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(issuer, clock=clock)
    old = source.token()
    issuer.errors = [meshpass.SigningKeyError("No way.")] * 100
    clock.pass_s(3400)

    for _ in range(150):
        assert source.token() is old
        clock.pass_s(1)

    assert 1 < issuer.fetches < 20
    assert old.value not in caplog.text
    assert {(record.name, record.levelno) for record in caplog.records} == {("meshpass", logging.WARNING)}
    clock.pass_s(60)
    with pytest.raises(meshpass.SigningKeyError, match="No way"):
        source.token()


def test_failures_in_a_row_back_off_and_end_with_the_first_success(issuer: Issuer, clock: Clock) -> None:
    source = Source(issuer, clock=clock)
    issuer.errors = [meshpass.SigningKeyError("No way.") for _ in range(4)]

    for _ in range(100):
        with pytest.raises(meshpass.SigningKeyError, match="No way"):
            source.token()
    assert issuer.fetches == 2
    clock.pass_s(5)
    with pytest.raises(meshpass.SigningKeyError):
        asyncio.run(source.atoken())
    assert issuer.fetches == 3
    issuer.errors = []
    clock.pass_s(5)

    assert source.token().value == "token-4"


def test_any_error_is_handed_on_as_it_is(issuer: Issuer) -> None:
    class OddError(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__("Odd.")

    issuer.errors = [OddError(1, 2)]

    with pytest.raises(OddError):
        Source(issuer).token()


def test_a_refused_token_is_fetched_anew_once_and_not_at_every_call(issuer: Issuer, clock: Clock) -> None:
    source = Source(issuer, clock=clock)

    for _ in range(100):
        source.invalidate(source.token())

    assert issuer.fetches == 2
    clock.pass_s(2)
    source.invalidate(source.token())
    assert source.token().value == "token-3"


def test_a_newer_token_stays_when_an_older_one_is_refused(issuer: Issuer, clock: Clock) -> None:
    source = Source(issuer, clock=clock)
    old = source.token()
    clock.pass_s(3400)
    new = source.token()

    source.invalidate(old)

    assert source.token() is new


@pytest.mark.parametrize("jump_s", [-86_400, 86_400])
def test_a_wall_clock_that_jumps_makes_one_fetch(issuer: Issuer, clock: Clock, jump_s: float) -> None:
    source = Source(issuer, clock=clock)
    source.token()

    clock.wall += jump_s

    assert [source.token().value for _ in range(10)] == ["token-2"] * 10


def test_a_wall_clock_set_back_bit_by_bit_keeps_no_token_past_its_end(issuer: Issuer, clock: Clock) -> None:
    source = Source(issuer, clock=clock)
    source.token()

    for _ in range(720):
        clock.pass_s(5)
        clock.wall -= 4.9
        source.token()

    assert issuer.fetches == 2


def test_a_source_cannot_be_pickled_or_copied(issuer: Issuer) -> None:
    import copy
    import pickle

    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="A Source cannot be pickled or copied"):
            leak(Source(issuer))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_forked_during_a_fetch_fetches_for_itself(issuer: Issuer) -> None:
    source, known = Source(issuer), Source(issuer, "known")
    before = known.token()
    issuer.gate.clear()

    with threads_asking(source, 4) as results:
        until(lambda: waiting_for(source) == 3)
        with cache._lock:
            child = os.fork()
        if child == 0:
            issuer.gate.set()
            good = source.token().value == "token-3" and known.token() is before
            os._exit(0 if good and asyncio.run(source.atoken()) is source.token() else 1)
        issuer.gate.set()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert {result.value for result in results if isinstance(result, meshpass.Token)} == {"token-2"}


def test_a_process_frozen_past_its_tokens_end_goes_on_with_a_new_one() -> None:
    code = """
import time
from meshpass import Token
from meshpass._tokens.cache import CachedSource
class Source(CachedSource):
    def _cache_key(self): return "s"
    def _fetch(self, deadline_s): return Token("t", time.time() + 0.5, "Source")
source = Source()
token = source.token()
print(token.expires_at, flush=True)
input()
token = source.token()
print("good" if token.expires_at > time.time() else "expired")
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        expires_at = float(process.stdout.readline())
        process.send_signal(signal.SIGSTOP)
        until(lambda: time.time() > expires_at)
        process.send_signal(signal.SIGCONT)
        said, _ = process.communicate("\n", timeout=20)

    assert said == "good\n"
