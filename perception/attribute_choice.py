"""Which attribute reader ``--attributes`` names."""

from __future__ import annotations

from pathlib import Path

from perception.attributes import AttributeReader, BarrierAttributes
from perception.inference import Runtime
from perception.paint import PlainPaint

FETCHED = "vehicle-attributes-recognition-barrier-0039.xml"


def open_attributes(choice: str, *, runtime: Runtime = "auto") -> AttributeReader | None:
    """The reader of a choice; None where nobody is to look.

    Args:
        choice: a model's file; ``paint``: none is needed; ``auto``: the file that ``perceive fetch`` leaves here, if it is
            here; ``none``.

    Raises:
        ModelError, MissingExtra: as ``BarrierAttributes``.
    """
    if choice == "none" or (choice == "auto" and not Path(FETCHED).is_file()):
        return None
    if choice == "paint":
        return PlainPaint()
    return BarrierAttributes(Path(FETCHED if choice == "auto" else choice), runtime=runtime)
