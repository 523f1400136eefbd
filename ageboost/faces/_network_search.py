"""How a photo is searched with the small network: on ever larger copies, and turned by quarters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

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
# that a face can have is then within half of that.
_TILT = 45.0
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
    seen_any = found_upright = False
    for one in _looks(photo, search):
        seen_any |= one.seen
        if one.located:
            found_upright |= not one.quarters
            turned = turn_photo(photo, one.quarters)
            beside = _beside(turned, one.left_out, search, one.located)
            yield View(one.quarters, turned, one.located, beside=beside)
    if seen_any and not found_upright:
        # Half a face, or a painted one, may be one to those who look for its outline. Where the
        # network saw nothing that is as likely a face as not, they have never found one.
        yield from views_by_dlib(photo, search)


class _Look(NamedTuple):
    """One look at a photo: at a copy of a side, turned by so many quarters.

    Attributes
    ----------
    located : list of Located
        In pixels of the photo turned so.
    quarters : int
    seen : bool
        Whether there was anything that may be a face.
    left_out : list of int
        Sides of copies that show smaller faces.
    """

    located: list[Located]
    quarters: int
    seen: bool
    left_out: list[int]


def _looks(photo: Photo, search: Search) -> Iterator[_Look]:
    """Look until faces are found, at all sides of their copy."""
    sides, closest = _sides(photo, search), search.max_side * _SHARE
    for number, side in enumerate(sides):
        # Beside a large face, one that only the closest look shows is not searched for.
        smaller = [one for one in sides[number + 1 :] if one <= closest or side >= closest]
        left_out = [] if search.main_only else smaller
        copies = shrink(photo.pixels, side)
        # Tilted looks need the same turned copies again.
        turn_copies = cache(copies.turned)
        any_found = False
        for tilt in (0.0, _TILT) if side == FIRST_SIDE else (0.0,):
            seen = look(copies, tilt)
            found, perhaps_turned = find_among(seen, copies, search.threshold)
            any_found |= bool(found)
            yield _Look(found, 0, bool(seen), left_out)
            for quarters in dict.fromkeys([*perhaps_turned, *TURNS]):
                turned = turn_copies(quarters)
                seen = look(turned, tilt)
                found, _ = find_among(seen, turned, search.threshold)
                any_found |= bool(found)
                yield _Look(found, quarters, bool(seen), left_out)
            if any_found:
                # Whatever is smaller is not the main face.
                return


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
