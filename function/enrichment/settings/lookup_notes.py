"""Guards that a lookup does without, for `check` to point out."""

from enrichment.settings.lookup_rules import FIRST_LOOKUP, LookupRules


def notes(rules: LookupRules) -> tuple[str, ...]:
    """Return what is lost by the settings that a lookup leaves out, one or two sentences each.

    Args:
        rules: The lookup.
    """
    place = "lookup" if rules.name == FIRST_LOOKUP else f"lookups.{rules.name}"
    found = []
    if rules.batch is None and not rules.echo:
        found.append(
            f"{place} has no echo: an answer that belongs to another key cannot be noticed, and is joined. "
            "Name a field of the answer that repeats the key, if there is one."
        )
    if rules.batch is None and rules.miss is None:
        found.append(
            f"{place} has no miss: an event whose key is unknown to the service is a fault, and comes again until "
            "Pub/Sub gives it up. Say how the service answers for an unknown key."
        )
    elif rules.miss is not None and not rules.miss.field:
        found.append(
            f"{place}.miss goes by the status alone: a path that the service does not have looks like an unknown key. "
            "Add field and equals, if the service's answer says why."
        )
    if rules.method == "POST" and not rules.idempotent:
        also = " or a service that fails" if rules.batch else ""
        found.append(
            f"{place} sends each POST once: a connection that breaks{also} costs a redelivery. "
            "Set idempotent = true if asking twice does no harm."
        )
    return tuple(found)
