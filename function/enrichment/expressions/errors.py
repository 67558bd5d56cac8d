"""Errors of expressions."""


class ExpressionError(ValueError):
    """An expression of `pipeline.toml` is wrong. The message is a sentence, or two with advice."""

    @property
    def sentence(self) -> str:
        """The message with one mark at its end."""
        text = str(self)
        return text if text.endswith((".", "?")) else f"{text}."


class EvaluationError(ValueError):
    """An expression cannot be evaluated for one event.

    The message quotes no value. It follows the expression's text in a sentence.
    """
