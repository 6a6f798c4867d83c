"""Why a text has no tree, or a tree no value."""


class Unreadable(Exception):
    """The notation is not read here."""


class Endless(Unreadable):
    """Longer or deeper than any answer."""


class Undefined(Exception):
    """No value: a division by zero, a logarithm of zero."""


class NotRational(Exception):
    """A value, but no fraction."""


class TooLarge(Exception):
    """Beyond what is worked out."""
