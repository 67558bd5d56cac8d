"""Rules of a lookup, as `pipeline.toml` gives them. Values alone: nothing here is checked or read.

They are Structs of msgspec, because a dataclass takes half a millisecond of the function's start.
"""

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from enrichment.expressions import Expression, Scope

FIRST_LOOKUP = "profile"
"""Name of the lookup in `[lookup]`, and of its root in expressions."""


MAX_KEY_LENGTH = 4_096
"""Most characters in path and query. Envoy takes 60 KiB of headers, the path and the token included
(`max_request_headers_kb`); a character takes 12 bytes at most when it is percent-encoded."""


class Source(Protocol):
    """Gives a value of an event: a declared field, or an expression."""

    @property
    def text(self) -> str:
        """The source as people write it."""

    def evaluate(self, scope: "Scope") -> object:
        """Return the value, None where there is none."""


Body: TypeAlias = "Source | dict[str, Body] | list[Body] | None"
"""A JSON body: objects and lists, with a `Source` for each value."""


class DeclaredField(msgspec.Struct, frozen=True):
    """A declared field of the event, checked already.

    Args:
        name: Its dotted name.
    """

    name: str

    @property
    def text(self) -> str:
        """The source as people write it."""
        return f"event.{self.name}"

    def evaluate(self, scope: "Scope") -> object:
        """Return the checked value."""
        return scope.declared.get(self.name)


class Constant(msgspec.Struct, frozen=True):
    """A value that is the same for every event.

    Args:
        value: The value.
    """

    value: bool | int | float

    @property
    def text(self) -> str:
        """The source as people write it."""
        return str(self.value).lower()

    def evaluate(self, scope: "Scope") -> object:
        """Return the value."""
        return self.value


class OnMiss(enum.StrEnum):
    """What becomes of an event whose key the service does not know."""

    WRITE = "write"
    DEAD_LETTER = "dead-letter"
    RETRY = "retry"


class OnNoKey(enum.StrEnum):
    """What becomes of an event that has no key for a lookup."""

    WRITE = "write"
    DEAD_LETTER = "dead-letter"


class CacheLimits(msgspec.Struct, frozen=True):
    """How long and how much is remembered of the service's answers.

    Args:
        ttl_s: How long a profile is fresh, in seconds; 0 keeps none.
        negative_ttl_s: How long it is remembered that the service does not know a key, in seconds; 0 forgets at once.
        stale_if_error_s: How long after that a profile may still be used while the service is unavailable, in seconds.
        max_entries: Most answers kept.
        max_bytes: Most memory that they take, in bytes.
    """

    ttl_s: float = 60.0
    negative_ttl_s: float = 10.0
    stale_if_error_s: float = 300.0
    max_entries: int = 10_000
    max_bytes: int = 64 * 1024 * 1024


class MissRule(msgspec.Struct, frozen=True):
    """How the service says that it does not know a key.

    Args:
        status: The HTTP status of such an answer.
        field: The field of its JSON body that says so; empty where the status alone does.
        equals: What that field then holds.
        repeats_key: Whether such an answer must repeat the key, as `Echo` says.
    """

    status: int = 404
    field: tuple[str, ...] = ()
    equals: object = None
    repeats_key: bool = False


class Echo(msgspec.Struct, frozen=True):
    """A field of an answer that must repeat what was asked for.

    Args:
        field: Where it stands in the answer.
        repeats: The value that it repeats: a number is the place of one of the path's, a name one of the query's.
    """

    field: tuple[str, ...]
    repeats: int | str = 0

    @property
    def name(self) -> str:
        """The field as people write it."""
        return ".".join(self.field)


class BatchRules(msgspec.Struct, frozen=True):
    """How one request asks for many keys.

    Args:
        body_field: The field of the request's JSON body that holds the list of keys.
        results: Where the list of profiles stands in the answer.
        key: The field of each profile that says whose it is.
        max_keys: Most keys in one request.
    """

    body_field: str
    results: tuple[str, ...]
    key: str
    max_keys: int = 100


class LookupRules(msgspec.Struct, frozen=True):
    """How a profile is looked up.

    Args:
        path: The path's template; each placeholder is a name of `values`.
        values: What takes the placeholders' places, by name; for a batch the key.
        name: The name of the lookup and of its root in expressions.
        host: The service's virtual host; the one of `GKE_GATEWAY_HOST` where it is empty.
        method: GET or POST.
        query: The parameters of the query, by name.
        body: The JSON body, None where there is none.
        idempotent: Whether a POST may be sent again when it is not known whether it was carried out.
        when: Where this is not true of an event, nothing is looked up for it.
        on_no_key: What becomes of an event without a key.
        echo: The fields of an answer that must repeat what was asked for.
        miss: How the service says that it does not know a key; None where every key is known.
        on_miss: What then becomes of the event.
        batch: How many keys share one request; None where each has its own.
        timeout_s: Limit for one lookup, retries included, in seconds.
        max_in_flight: Most requests at once.
        max_answer_bytes: Largest profile.
        cache: What is remembered.
    """

    path: str
    values: Mapping[str, Source]
    name: str = FIRST_LOOKUP
    host: str = ""
    method: str = "GET"
    query: Mapping[str, Source] = {}
    body: Body = None
    idempotent: bool = False
    when: "Expression | None" = None
    on_no_key: OnNoKey = OnNoKey.DEAD_LETTER
    echo: tuple[Echo, ...] = ()
    miss: MissRule | None = None
    on_miss: OnMiss = OnMiss.DEAD_LETTER
    batch: BatchRules | None = None
    timeout_s: float = 10.0
    max_in_flight: int = 100
    max_answer_bytes: int = 1024 * 1024
    cache: CacheLimits = CacheLimits()

    @property
    def why_absent(self) -> str:
        """The setting that lets rows be written without this profile, empty where there is none."""
        if self.when is not None:
            return "when"
        if self.on_miss is OnMiss.WRITE:
            return 'on_miss = "write"'
        return 'on_no_key = "write"' if self.on_no_key is OnNoKey.WRITE else ""

    @property
    def takes_one_key(self) -> bool:
        """Whether one key is all that a request of this lookup holds."""
        return len(self.values) == 1 and not self.query and self.body is None
