"""Installation hint for extras, in one place, because meshpass is not published in a registry yet."""


def install_hint(extra: str) -> str:
    """Return a sentence with the command that installs an extra.

    Args:
        extra: `cli`, `google`, `grpc` or `secretmanager`.
    """
    return f'Run `pip install "./sdk[{extra}]"` in a clone of the project.'


def install_package_hint(module: str) -> str:
    """Return the words that name an optional package and how to install it.

    Args:
        module: The module that is missing: `grpc` or `requests`.
    """
    if module == "grpc":
        return f"grpcio. {install_hint('grpc')}"
    return f"{module}. Run `pip install {module}`."
