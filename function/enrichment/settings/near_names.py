"""Variables of the environment whose names are nearly those of settings. Pure.

An optional setting whose name is misspelt would be passed over in silence. The environment holds variables of others as
well, so such a name is no reason not to start.
"""

from collections.abc import Iterator, Mapping

OPTIONAL = (
    "BIGQUERY_EMULATOR_HOST",
    "BIGQUERY_WRITER",
    "BIGQUERY_WRITE_EMULATOR_HOST",
    "EVENT_TIMEOUT_S",
    "FUNCTION_TIMEOUT_S",
    "GKE_GATEWAY_CA_FILE",
    "GOOGLE_CLOUD_PROJECT",
    "JWT_SUBJECT",
    "LOG_SEVERITY",
    "LOG_SUCCESS_SAMPLE",
    "MESH_AUTH",
    "PIPELINE_FILE",
    "PUBSUB_EMULATOR_HOST",
    "SERVE_DRAIN_S",
    "STORAGE_WRITE_STREAM",
    "SUBSCRIPTION_ACK_DEADLINE_S",
    "TABLE_FILE",
    "TABLE_RECREATED_HOLD_S",
    "TRIGGER_TOPIC",
    "WORK_DRAIN_S",
    "WORK_LEASE_S",
    "WORK_MAX_BYTES",
    "WORK_MAX_MESSAGES",
    "WORK_STREAMS",
)
"""Settings that need not be set. One that must be set is missed at the start anyway."""

_NEAR = 0.9
_LENGTH_MARGIN = 3


def notes(env: Mapping[str, str]) -> Iterator[str]:
    """Return one sentence for each variable that is probably meant for another name.

    Args:
        env: The environment.
    """
    absent = [name for name in OPTIONAL if not env.get(name)]
    for given in sorted(env.keys() - set(OPTIONAL)):
        near = [
            name for name in absent if given[:2] == name[:2] and abs(len(given) - len(name)) <= _LENGTH_MARGIN
        ]
        if not near:
            continue
        import difflib  # which most environments do without

        if meant := difflib.get_close_matches(given, near, n=1, cutoff=_NEAR):
            yield f"{given[:200]} is set, which is no setting: is {meant[0]} meant?"
