"""Who Toolkit works as; one for the whole process."""

_current = []


def set_authenticated_user(user):
    _current[:] = [user] if user is not None else []


def get_authenticated_user():
    return _current[0] if _current else None
