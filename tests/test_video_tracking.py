import numpy as np
import pytest
from films import moving, picture
from hypothesis import given
from hypothesis import strategies as st

from ageboost.video import FaceTracker
from ageboost.video._motion import Trace, assign, crowded, overlap


def boxes_at(*places, side=100.0):
    return np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2] for x, y in places])


def follow(frames, **options):
    """Tracks of each frame, by their places, and those that have ended."""
    tracker = FaceTracker(**options)
    seen, ended = [], []
    for time, frame in frames:
        sightings = tracker.update(frame, time)
        seen.append({s.track: np.mean([s.face.box.left, s.face.box.right]) for s in sightings})
        ended += tracker.pop_ended()
    tracker.finish()
    return seen, ended + tracker.pop_ended()


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=6, unique=True),
    st.randoms(),
)
def test_faces_that_hardly_move_keep_their_tracks_in_whatever_order_they_are_found(places, random):
    boxes = boxes_at(*[(300 * x, 300 * y) for x, y in places])
    traces = [Trace.start(box, 0.0) for box in boxes]
    order = list(range(len(boxes)))
    random.shuffle(order)
    moved = boxes[order] + np.array([random.uniform(-9, 9) for _ in range(4)]).mean()
    found = assign(traces, moved, 0.1)
    assert [order[box] for box in found] == list(range(len(boxes)))


@given(st.integers(0, 4), st.integers(0, 4))
def test_no_box_is_given_twice_and_no_trace_gets_two(n_traces, n_boxes):
    rng = np.random.default_rng(n_traces * 5 + n_boxes)
    traces = [Trace.start(box, 0.0) for box in boxes_at(*rng.uniform(0, 300, (n_traces, 2)))]
    found = assign(traces, boxes_at(*rng.uniform(0, 300, (n_boxes, 2))).reshape(-1, 4), 0.1)
    assert len(found) == n_traces
    given_out = [box for box in found if box >= 0]
    assert len(set(given_out)) == len(given_out)


def test_two_that_cross_are_told_apart_by_their_motion():
    traces = [Trace.start(boxes_at((0, 0))[0], 0.0), Trace.start(boxes_at((400, 0))[0], 0.0)]
    for number in range(1, 41):
        seconds = number / 10
        true = np.array([100 * seconds, 400 - 100 * seconds])
        hidden = abs(true[0] - true[1]) < 60
        # While one hides the other, one box alone is found.
        boxes = boxes_at((true[0], 0)) if hidden else boxes_at(*[(x, 0) for x in true])
        crowd = crowded(traces, seconds)
        for trace, box, crowded_here in zip(
            traces, assign(traces, boxes, seconds), crowd, strict=True
        ):
            if box >= 0:
                trace.update(boxes[box], seconds, bool(crowded_here))
    assert traces[0].centre[0] == pytest.approx(400, abs=20)
    assert traces[1].centre[0] == pytest.approx(0, abs=20)


def test_overlap_of_boxes():
    shared = overlap(boxes_at((0, 0), (50, 0)), boxes_at((0, 0), (1000, 0)))
    assert shared.tolist() == [[1, 0], [pytest.approx(1 / 3), 0]]


def test_one_face_that_moves_is_one_track():
    seen, ended = follow(moving(lambda t: (150 + 150 * t, 180), seconds=2))
    assert ended == [(0, True)]
    assert all(0 in tracks for tracks in seen)
    assert seen[15][0] == pytest.approx(375, abs=20)


def test_a_face_that_is_hidden_for_a_moment_keeps_its_track():
    def way(t):
        return None if 0.8 <= t < 1.6 else (200 + 60 * t, 180)

    seen, ended = follow(moving(way, seconds=2.4))
    assert ended == [(0, True)]
    assert not any(seen[9:15])


def test_who_leaves_and_comes_back_is_another_track():
    def way(t):
        return None if 1 <= t < 4 else (200, 180)

    seen, ended = follow(moving(way, seconds=5))
    assert ended == [(0, True), (1, True)]
    assert list(seen[0]) == [0]
    assert list(seen[-1]) == [1]


def test_two_who_cross_are_two_tracks_and_are_not_taken_for_each_other():
    def right(t):
        return 100 + 150 * t, 180

    def left(t):
        return 540 - 150 * t, 180

    seen, ended = follow(moving(right, left, seconds=2.9))
    assert ended == [(0, True), (1, True)]
    start, end = seen[2], seen[-1]
    assert set(start) == set(end) == {0, 1}
    assert (start[0] < start[1]) != (end[0] < end[1])


def test_faces_that_another_covers_are_not_alone():
    tracker = FaceTracker()
    alone = []
    for time, frame in moving(
        lambda t: (200 + 100 * t, 180), lambda t: (440 - 100 * t, 180), seconds=1.2
    ):
        alone.append([s.alone for s in tracker.update(frame, time)])
    assert all(alone[3])
    assert not any(alone[-1])


def test_what_looks_like_a_face_once_is_no_person(portrait):
    tracker = FaceTracker()
    tracker.update(portrait, 0.0)
    for number in range(1, 30):
        tracker.update(np.zeros_like(portrait), number / 10)
    assert tracker.pop_ended() == [(0, False)]
    assert tracker.n_open == 0


def test_a_single_frame_shows_a_person(portrait):
    seen, ended = follow([(0.0, portrait)])
    assert ended == [(0, True)]
    assert len(seen[0]) == 1


def test_stills_far_apart_in_time_follow_a_person_too():
    frames = moving(lambda t: (200, 180), seconds=1)
    _, ended = follow((5 * time, frame) for time, frame in frames)
    assert ended == [(0, True)]


def test_while_no_frame_comes_tracks_end():
    tracker = FaceTracker()
    for time, frame in moving(lambda t: (200, 180), seconds=1):
        tracker.update(frame, time)
    tracker.pass_time(1.5)
    assert tracker.pop_ended() == []
    tracker.pass_time(10.0)
    assert tracker.pop_ended() == [(0, True)]


def test_an_empty_frame_has_no_face():
    tracker = FaceTracker()
    assert tracker.update(picture(), 0.0) == []
    tracker.finish()
    assert tracker.pop_ended() == []


def test_the_whole_frame_is_searched_now_and_then_only(monkeypatch):
    import ageboost.video.tracking as tracking

    searched = []
    plain = tracking.detect

    def counted(pixels, *rest):
        searched.append(pixels.shape[0] * pixels.shape[1])
        return plain(pixels, *rest)

    monkeypatch.setattr(tracking, "detect", counted)
    follow(moving(lambda t: (200, 180), seconds=2), scan_seconds=0.5)
    whole = [n for n in searched if n > 300_000]
    assert len(whole) == 4
    assert len(searched) == 4 + 19


@pytest.mark.parametrize("options", [{"smallest": 0}, {"scan_seconds": -1}, {"patience": -1}])
def test_settings_without_sense_are_refused(options):
    with pytest.raises(ValueError, match="above 0"):
        FaceTracker(**options)
