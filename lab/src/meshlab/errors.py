"""What the lab says when it cannot go on."""


class LabError(Exception):
    """The lab could not do what was asked; the message says what, why, and what to do next."""
