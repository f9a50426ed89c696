"""The one exception that is written for the person at the keyboard."""


class BeastError(Exception):
    """A problem that the user can mend.

    The message is one sentence that says what was wrong, what was found and what to do. The
    command line prints it without a traceback and exits with status 1.
    """
