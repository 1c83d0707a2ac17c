"""Number plates as they are compared."""


def plain(plate: str) -> str:
    """Letters and digits alone, however they were set apart.

    >>> plain("b-xy 123")
    'BXY123'
    """
    return "".join(one for one in plate.upper() if one.isalnum())
