"""The way of one event: decode, look up, build the row, write; or dead-letter, or hand back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from enrichment import dead_letter, event, log, message, row, settings, trace
from enrichment.dead_letter import DeadLetters, PubSubDeadLetters
from enrichment.event import Event
from enrichment.lookup import MeshProfiles, Profiles
from enrichment.message import Message
from enrichment.outcome import BadEventError, Fate, FaultError, Outcome, TransientError, of_unexpected_error
from enrichment.sink import BigQuerySink, Sink
from enrichment.trace import Trace


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Pipeline:
    """Takes deliveries to their end, any number at a time.

    Args:
        profiles: Where profiles come from.
        sink: Where rows go.
        dead_letters: Where bad events go.
        version: What runs here, for dead letters.
        project: The project of the log lines, empty if unknown.
        now: The clock, in UTC.
    """

    profiles: Profiles
    sink: Sink
    dead_letters: DeadLetters
    version: str
    project: str = ""
    now: Callable[[], datetime] = _now

    async def handle(self, data: object, extensions: Mapping[str, object]) -> Outcome:
        """Takes one delivery to its end, and logs the end unless it is a written row.

        Nothing is left to do when this returns: the row or the dead letter is durable, or the delivery is to
        be handed back to Pub/Sub.

        Args:
            data: The CloudEvent's data, of any type.
            extensions: The CloudEvent's attributes and extensions.

        Returns:
            The end. Never raises for anything the delivery holds or a back end does.
        """
        trail = _Trail(trace.find(extensions, {}))
        try:
            outcome = await self._process(data, extensions, trail)
        except (TransientError, FaultError) as error:
            outcome = error.outcome()
        except Exception as error:  # noqa: BLE001 - the last line of defence: a defect must not lose an event
            outcome = of_unexpected_error(error).outcome()
        log.outcome(
            outcome,
            message_id=trail.message.message_id if trail.message else "",
            event_id=trail.event.event_id if trail.event else "",
            trace=trail.trace,
            project=self.project,
        )
        return outcome

    async def _process(self, data: object, extensions: Mapping[str, object], trail: "_Trail") -> Outcome:
        try:
            await self._enrich(data, extensions, trail)
        except BadEventError as error:
            bad = trail.message or message.unreadable(data)
            await self.dead_letters.publish(dead_letter.compose(bad, error, trail.trace, self.version))
            return error.outcome()
        return Outcome(Fate.WRITTEN)

    async def _enrich(self, data: object, extensions: Mapping[str, object], trail: "_Trail") -> None:
        trail.message = message.read(data)
        trail.trace = trace.find(extensions, trail.message.attributes)
        trail.event = event.decode(trail.message.data)
        self.sink.warm_up()
        profile = await self.profiles.fetch(trail.event.user_id, trail.trace)
        await self.sink.write(
            row.build(trail.event, profile, trail.message, trail.trace.trace_id, self.now())
        )


def from_env(env: Mapping[str, str]) -> Pipeline:
    """Sets up the pipeline of the function.

    Args:
        env: The environment.

    Returns:
        The pipeline. No client is made and no network touched before its first event.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    known = settings.read(env)
    return Pipeline(
        profiles=MeshProfiles(),
        sink=BigQuerySink(known.table),
        dead_letters=PubSubDeadLetters(known.dead_letter_topic),
        version=known.version,
        project=known.project,
    )


@dataclass(slots=True)
class _Trail:
    """What is known of a delivery so far: enough to name it wherever it stops."""

    trace: Trace
    message: Message | None = None
    event: Event | None = None
