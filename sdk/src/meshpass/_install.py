"""How meshpass and its extras are installed today, in one place: nothing is published in a registry."""


def install_hint(extra: str) -> str:
    """Return the sentence that says how to install an extra.

    Args:
        extra: `cli`, `google`, `grpc` or `secretmanager`.
    """
    return f'Run `pip install "./sdk[{extra}]"` in a clone of the project.'
