"""How a photo is searched with the small network: on ever larger copies, and turned by quarters."""

from __future__ import annotations

from collections.abc import Iterator

from ageboost.faces._dlib_search import views_by_dlib
from ageboost.faces._located import Located, Search, View, one_face, shows_nothing
from ageboost.faces._network_scan import FIRST_SIDE, find_among, look, shrink
from ageboost.faces._turns import TURNS, turn_photo
from ageboost.photos import Photo

__all__ = ["views_by_network"]

# The second copy of a photo has this longer side, in pixels.
_SECOND_SIDE = 200
# The third has this share of what dlib's detector looks at, whose smallest face is so much larger.
_SHARE = 1 / 2
# The next copy has to be larger than the one before by this factor, to show more.
_LEAST_GAIN = 1.4
# Where it finds none, it looks at the first copy again, turned by so much, in degrees: each way up
# that a face can have is then within half of that. The more looks, the surer it has to be.
_TILT, _SURER = 45.0, 0.3
# In the last view of a large photo, dlib's smallest face has four times as many pixels.
_LAST_SHARE = 1 / 4


def views_by_network(photo: Photo, search: Search) -> Iterator[View]:
    """Yield what can be seen in a photo, the likeliest first, each only if it is asked for.

    Parameters
    ----------
    photo : Photo
    search : Search

    Yields
    ------
    View
    """
    if shows_nothing(photo.pixels):
        return
    sides, closest = _sides(photo, search), search.max_side * _SHARE
    for number, side in enumerate(sides):
        finer = [] if search.main_only else [one for one in sides[number + 1 :] if one <= closest]
        copies = shrink(photo.pixels, side)
        any_found = False
        for tilt in (0.0, _TILT) if side == FIRST_SIDE else (0.0,):
            least = search.threshold + (_SURER if tilt else 0)
            found, quarters = find_among(look(copies, tilt), copies, least)
            if found:
                yield View(0, photo, found, beside=_beside(photo, finer, search, found))
                any_found = True
            for quarter in dict.fromkeys([*quarters, *TURNS]):
                turned_copies = copies.turned(quarter)
                found, _ = find_among(look(turned_copies, tilt), turned_copies, least)
                if found:
                    turned = turn_photo(photo, quarter)
                    yield View(quarter, turned, found, beside=_beside(turned, finer, search, found))
                    any_found = True
            if any_found:
                # Whatever is smaller is not the main face.
                return
    # Half a face, or a painted one, may be one to those who look for its outline.
    yield from views_by_dlib(photo, search)


def _sides(photo: Photo, search: Search) -> list[int]:
    """Longer sides of the copies to look at, the smallest first."""
    height, width = photo.pixels.shape[:2]
    longest = max(height, width)
    last = longest * search.enlargement(height, width) * _LAST_SHARE
    sides = [FIRST_SIDE]
    for side in (_SECOND_SIDE, search.max_side * _SHARE, last):
        side = round(min(side, longest))
        if side >= _LEAST_GAIN * sides[-1]:
            sides.append(side)
    return sides


def _beside(photo: Photo, sides: list[int], search: Search, found: list[Located]) -> list[Located]:
    """Look more closely for faces that are too small beside those found."""
    beside: list[Located] = []
    for side in sides:
        copies = shrink(photo.pixels, side)
        located, _ = find_among(look(copies), copies, search.threshold)
        beside += [
            one
            for one in located
            if not any(one_face(one.box, other.box) for other in [*found, *beside])
        ]
    return beside
