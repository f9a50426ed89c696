"""Numbers as a person says them."""


def duration(seconds: float) -> str:
    """Write a time as people say it: `45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 60 else f'{minutes // 60} h {minutes % 60:02d} min'
