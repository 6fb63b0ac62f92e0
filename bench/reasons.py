"""Why a figure is missing, in words that may be published. Error texts of Python, of the system and of other programs go to the console
alone."""


class Unmeasured(RuntimeError):
    """There is no figure. The text says why, and is published."""


def in_words(error):
    if isinstance(error, Unmeasured):
        return f"{error}"
    if isinstance(error, OSError) and "/proc/" in str(error.filename):
        return "a process of it ended while it was measured"
    return "could not be measured"
