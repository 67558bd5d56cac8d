"""The worker as a process: its parts put together, run until a signal, and ended in order."""

import asyncio
import contextlib
import os
import random
import signal
import sys
import uuid
from collections.abc import Callable, Mapping

import msgspec

from enrichment import assembly
from enrichment.closing import close_all
from enrichment.core.enricher import Enricher
from enrichment.deadline import TimeBudget
from enrichment.drivers.work import description, settings
from enrichment.drivers.work.api import CallError, GrpcApi
from enrichment.drivers.work.description import Description
from enrichment.drivers.work.health import Health, HealthEndpoint, health_of
from enrichment.drivers.work.report import CONFIGURATION, Report
from enrichment.drivers.work.settings import WorkSettings
from enrichment.drivers.work.stream import Stream, StreamSettings
from enrichment.drivers.work.worker import Limits, Worker
from enrichment.settings.environment import SettingsError

EXACTLY_ONCE_LEASE_S = 60
"""The shortest lease where delivery is exactly once, in seconds: that of the official client, since there an extension
must be confirmed."""

FLUSH_S = 1.5
"""How long answers may take at the end, in seconds."""

END_S = 1.5
"""How long streams may take to end, in seconds."""

_DESCRIBE_S = 5.0
_DESCRIBE_AGAIN_S = 60.0


class Parts(msgspec.Struct, frozen=True):
    """What a worker is made of before its event loop runs."""

    settings: WorkSettings
    enricher: Enricher
    closing: assembly.Closing


def prepared(env: Mapping[str, str]) -> Parts:
    """Read all settings, those of the core included, and put the core together. Touches no network.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    problems: list[str] = []
    known = settings.read(env, problems)
    enricher = None
    closing: assembly.Closing = []
    try:
        enricher = assembly.enricher({**_named(env), **env}, closing)
    except SettingsError as error:
        problems += error.problems
    if problems or enricher is None:
        raise SettingsError(problems)
    enricher.budget = TimeBudget(float(known.event_s))
    return Parts(known, enricher, closing)


def _named(env: Mapping[str, str]) -> dict[str, str]:
    """Return the names that a worker pool gives, as those of a service: dead letters and logs carry them."""
    names = {"K_SERVICE": "CLOUD_RUN_WORKER_POOL", "K_REVISION": "CLOUD_RUN_REVISION"}
    return {ours: env[theirs] for ours, theirs in names.items() if theirs in env}


def run(parts: Parts, host: str) -> int:
    """Receive events until a signal; return the exit code."""
    assembly.collect_less_often()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_Process(parts, host).run())


class _Process:
    """A worker while its loop runs.

    Args:
        parts: Settings and core.
        host: Address of the health endpoints.
    """

    def __init__(self, parts: Parts, host: str) -> None:
        self._settings = parts.settings
        self._enricher = parts.enricher
        self._closing = parts.closing
        self._host = host
        self._report = Report(parts.enricher.log, parts.settings.subscription)
        self._stop = asyncio.Event()
        self._code = 0
        self._source = ""
        self._streams: list[Stream] = []
        self._worker: Worker | None = None

    async def run(self) -> int:
        """Receive events until a signal; return the exit code."""
        self._handle_signals()
        health = HealthEndpoint(self._health)
        try:
            await health.start(self._host, self._settings.port)
        except OSError as error:
            sys.stderr.write(
                f"python -m enrichment work: PORT {self._settings.port} cannot be listened on: {error.strerror}\n"
            )
            return 1
        api = GrpcApi(self._settings.subscription, self._settings.emulator)
        try:
            await self._receive(api)
        finally:
            health.close()
            await api.aclose()
            await close_all(self._closing)
        return self._code

    async def _receive(self, api: GrpcApi) -> None:
        known = await self._describe(api)
        if self._stop.is_set():
            return
        lease_s = self._settings.lease_s
        if known is not None and known.is_exactly_once:
            lease_s = max(lease_s, EXACTLY_ONCE_LEASE_S)
        worker = self._worker = self._make_worker(api, lease_s)
        if known is not None:
            self._learn(known, worker)
        else:
            self._report.started("its settings are not known")
        client_id = str(uuid.uuid4())
        self._streams = [
            self._make_stream(api, worker, lease_s, f"{client_id}-{number}")
            for number in range(self._settings.streams)
        ]
        tasks = [asyncio.create_task(stream.run()) for stream in self._streams]
        learning = asyncio.create_task(self._learn_later(api, worker)) if known is None else None
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
            await self._drain(worker, tasks)
        finally:
            for task in (*tasks, stop, learning):
                if task is not None:
                    task.cancel()
            worker.close()

    async def _drain(self, worker: Worker, tasks: "list[asyncio.Task[None]]") -> None:
        for task in tasks:
            if task.done() and (error := task.exception()) is not None:
                self._report.defect_of_stream(error)
                self._code = 1
        loop = asyncio.get_running_loop()
        began_at_s = loop.time()
        self._stop.set()
        self._report.draining(worker.in_process)
        worker.stop_taking()
        for stream in self._streams:
            stream.end()
        # What Pub/Sub has sent already is nacked, so that it need not wait there for the end of its lease.
        await asyncio.wait(tasks, timeout=min(END_S, self._settings.drain_s))
        left_s = max(0.0, self._settings.drain_s - (loop.time() - began_at_s))
        late = await worker.drain(left_s, FLUSH_S)
        self._report.drained(late, loop.time() - began_at_s)

    def _make_worker(self, api: GrpcApi, lease_s: int) -> Worker:
        known = self._settings
        return Worker(
            api,
            self._enricher.handle,
            Limits(known.max_messages, known.max_bytes, known.event_s, lease_s),
            self._enricher.count,
            self._report,
            random.random,
        )

    def _make_stream(self, api: GrpcApi, worker: Worker, lease_s: int, client_id: str) -> Stream:
        known = self._settings
        share = StreamSettings(
            subscription=known.subscription,
            client_id=client_id,
            lease_s=lease_s,
            max_messages=-(-known.max_messages // known.streams),
            max_bytes=-(-known.max_bytes // known.streams),
        )
        return Stream(api, share, worker, lambda: self._source, self._report, self._enricher.count)

    # What the subscription says of itself.

    async def _describe(self, api: GrpcApi) -> Description | None:
        """Return what the subscription says of itself; None where that is not permitted, or not known in time.

        Receiving needs no permission to ask (roles/pubsub.subscriber has none), so a worker runs without an answer.
        """
        asked = asyncio.ensure_future(api.describe())
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([asked, stop], timeout=_DESCRIBE_S, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                return None
            found = description.read(asked.result())
        except CallError as error:
            if error.code == "PERMISSION_DENIED":
                self._report.warned(
                    "its settings cannot be read, so they are not checked. To do: grant roles/pubsub.viewer on it to "
                    "the account of the worker"
                )
            return None
        finally:
            asked.cancel()
            stop.cancel()
        self._refuse(found)
        return found

    async def _learn_later(self, api: GrpcApi, worker: Worker) -> None:
        while True:
            await asyncio.sleep(_DESCRIBE_AGAIN_S)
            try:
                found = description.read(await api.describe())
            except CallError as error:
                if error.code in CONFIGURATION and error.code != "NOT_FOUND":
                    return
                continue
            self._refuse(found)
            self._learn(found, worker)
            return

    def _refuse(self, found: Description) -> None:
        """End the worker where the subscription is none that it may receive from."""
        problems = found.problems(self._enricher.dead_letter_topic)
        if not problems:
            return
        error = SettingsError([f"PULL_SUBSCRIPTION names {problem}" for problem in problems])
        self._report.refused(str(error))
        sys.stderr.write(f"python -m enrichment work: {error}\n")
        self._code = 2
        self._stop.set()

    def _learn(self, found: Description, worker: Worker) -> None:
        self._source = f"//pubsub.googleapis.com/{found.topic}"
        worker.server_waits = found.has_retry_policy
        worker.answers.exactly_once = found.is_exactly_once
        self._report.started(found.summary())
        for warning in found.warnings():
            self._report.warned(warning)

    # Health and signals.

    def _health(self) -> Health:
        return health_of(
            self._streams,
            in_process=self._worker.in_process if self._worker else 0,
            window=self._worker.window if self._worker else 0,
            ending=self._stop.is_set(),
            now_s=asyncio.get_running_loop().time(),
        )

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            os._exit(128 + number)
        self._stop.set()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None
