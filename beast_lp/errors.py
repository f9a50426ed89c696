"""The one exception that is written for the person at the keyboard, and what becomes one."""

import errno


class BeastError(Exception):
    """A problem that the user can mend.

    The message is one sentence that says what was wrong, what was found and what to do. The
    command line prints it without a traceback and exits with status 1.
    """


# a folder or a whole disk that may not be read or written
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def sentence_of(error: Exception) -> str | None:
    """Return what a person is told instead of a traceback, if the error is theirs to mend.

    Any line that touches a file may meet a forbidden one, so that one place says so for all.
    """
    if isinstance(error, BeastError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _FORBIDDEN:
        return (
            f'{error.filename or "a file"} may not be used ({error.strerror}); check who may read '
            'and write there, or choose another folder'
        )
    return None
