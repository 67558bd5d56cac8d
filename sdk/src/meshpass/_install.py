"""Installation hint for extras, in one place, because meshpass is not published in a registry yet."""


def install_hint(extra: str) -> str:
    """Return a sentence with the command that installs an extra.

    Args:
        extra: `cli`, `google`, `grpc` or `secretmanager`.
    """
    return f'Run `pip install "./sdk[{extra}]"` in a clone of the project.'
