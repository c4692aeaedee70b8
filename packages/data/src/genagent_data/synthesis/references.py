"""Reference pictures, read before anything is paid for what needs them."""

from pathlib import Path

from genagent_data.pictures import PictureStore
from genagent_data.reference_pictures import UnusableReference, read_reference
from genagent_data.request import Request
from genagent_data.synthesis.draft import Draft, Drop, Fate

SIDE = 1024
"""Pixels of the longer side that a teacher is shown."""


def begun(request: Request, store: PictureStore) -> Fate:
    """A draft with the reference picture in the store, or a drop where it cannot be had.

    Raises:
        OSError: the picture cannot be stored.
    """
    if request.reference is None:
        return Draft(request=request)
    try:
        image = read_reference(Path(request.reference))
    except UnusableReference as error:
        return Drop(id=request.id, reason=f"reference_{error.why}", detail=str(error))
    image.thumbnail((SIDE, SIDE))
    return Draft(request=request, reference=store.put(image).name)
