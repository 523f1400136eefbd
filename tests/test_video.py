import numpy as np
import pandas as pd
import pytest
from films import carphone, moving, picture, write_film
from hypothesis import given
from hypothesis import strategies as st

import ageboost
from ageboost import VideoError
from ageboost.faces import Box, Face, FaceFinder, Quality
from ageboost.faces.face import DISTURBANCES
from ageboost.retail import AlcoholPolicy, check
from ageboost.video import Frame, VideoAnalyzer, analyze_video, read_frames, watch_video
from ageboost.video._mirror import mirror_face
from ageboost.video.combination import TrackErrors, combine_ages, learnt_errors
from ageboost.video.person import BestFrames, Measured, PersonTrack, people_table

COLUMNS = [
    *("track", "start", "end", "n_frames", "n_used", "left", "top", "width", "height", "age"),
    *("age_low", "age_high", "p_under_18", "scale", "quality", "reliable", "status", "message"),
]


@pytest.fixture(scope="module")
def fast():
    return ageboost.load_pretrained("fast").set_params(n_jobs=1)


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0.5, 20), st.floats(0, 1)), min_size=1, max_size=10
    )
)
def test_a_combined_age_lies_between_those_of_the_frames(frames):
    ages, scales, qualities = zip(*frames, strict=True)
    age, scale = combine_ages(ages, scales, qualities)
    assert min(ages) - 1e-6 <= age <= max(ages) + 1e-6
    errors = learnt_errors()
    assert scale <= max(scales) * errors.factor + 1e-6
    assert scale >= min(scales) * errors.factor * np.sqrt(errors.shared) - 1e-6


def test_ranges_shrink_with_more_frames_but_never_below_what_frames_share():
    errors = TrackErrors(shared=0.64, factor=1.5)
    widths = [errors.width(n) for n in (1, 2, 5, 100, 10_000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 1.5
    assert widths[-1] == pytest.approx(1.5 * 0.8, abs=0.01)


def test_what_was_learnt_says_that_frames_share_most_of_their_error():
    errors = learnt_errors()
    assert 0.4 < errors.shared <= 1
    assert 0.8 < errors.factor < 2


BOX = Box(0, 0, 9, 9)


def seen_as(quality, defect=""):
    seen = Quality(size=80 * quality, sharpness=20, yaw=0.0, score=1.0)
    if not defect:
        return seen
    return seen._replace(likeness=0.1, disturbance=float(list(DISTURBANCES).index(defect)))


def face_of(quality, defect=""):
    return Face(np.zeros((4, 4, 3), np.uint8), np.zeros((5, 2)), BOX, seen_as(quality, defect))


def measured(time, quality, defect="", age=30.0, scale=1.0):
    return Measured(float(time), age, scale, seen_as(quality, defect), BOX)


def test_of_each_moment_the_best_frame_is_measured_and_few_of_a_long_stay():
    best, due = BestFrames(8), []
    for number in range(3000):
        quality = 0.9 if number % 5 == 3 else 0.4
        if (found := best.offer(face_of(quality), number / 25)) is not None:
            due.append(found)
            best.keep(measured(found[0], found[1].quality.overall))
    assert all(face.quality.overall == 0.9 for _, face in due)
    assert 15 < len(due) < 60
    assert len(best.kept) == 8
    times = [one.time for one in best.kept]
    assert max(times) - min(times) > 40


def test_a_bad_frame_goes_before_a_good_one():
    best = BestFrames(3)
    for time, quality in enumerate([0.9, 0.2, 0.8, 0.7]):
        best.keep(measured(time, quality))
    assert [one.quality for one in best.kept] == pytest.approx([0.9, 0.8, 0.7])


def test_a_covered_face_is_measured_and_kept_only_where_there_is_nothing_better():
    best = BestFrames(2)
    assert best.offer(face_of(0.9, "covered"), 0.0) is None
    assert best.offer(face_of(0.4), 0.1) is None
    _, face = best.offer(face_of(0.9, "covered"), 0.3)
    assert face.quality.overall == pytest.approx(0.4)
    for time, (quality, defect) in enumerate(
        [(0.9, "covered"), (0.3, ""), (0.8, "covered"), (0.2, "")]
    ):
        best.keep(measured(time, quality, defect))
    assert [one.quality for one in best.kept] == pytest.approx([0.3, 0.2])


@pytest.mark.parametrize("landmarks", [5, 68])
def test_a_mirror_image_is_the_face_of_the_mirrored_photo(portrait, landmarks):
    [face] = FaceFinder(landmarks=landmarks).find(portrait)
    twice = mirror_face(mirror_face(face))
    assert np.array_equal(twice.landmarks, face.landmarks)
    assert np.array_equal(twice.pixels, face.pixels)
    [flipped] = FaceFinder(landmarks=landmarks).find(portrait[:, ::-1])
    shapes = [one.landmarks - one.landmarks.mean(axis=0) for one in (mirror_face(face), flipped)]
    # In pixels, of a face of 88. Boxes moved by 3 % of their side move single points of the
    # mirrored photo by up to 2.2.
    assert np.linalg.norm(shapes[0] - shapes[1], axis=1).max() < 2.5
    apart = np.linalg.norm(shapes[0][:, None] - shapes[1], axis=2)
    assert apart.argmin(axis=1).tolist() == list(range(landmarks))


def test_a_film_of_two_people_gives_two_rows(tmp_path, fast):
    frames = moving(lambda t: (200, 180), lambda t: (430, 180) if 0.5 <= t < 2 else None, seconds=4)
    table = analyze_video(fast, write_film(tmp_path / "film.mp4", frames))
    assert list(table.columns) == COLUMNS
    assert table["status"].tolist() == ["ok", "ok"]
    assert table["track"].tolist() == [1, 0]
    # The whole frame is searched each 0.4 s, so who comes is seen a little later.
    assert 11 <= table["n_frames"][0] <= 15
    assert table["n_frames"][1] == 40
    assert 0.5 <= table["start"][0] <= 0.9
    assert table["start"][1] == 0
    assert table["end"].round(1).tolist() == [1.9, 3.9]
    assert (table["age_low"] <= table["age"]).all()
    assert (table["age"] <= table["age_high"]).all()
    assert table["age"].between(15, 55).all()
    assert table["n_used"].between(3, 8).all()
    centre = table["left"] + table["width"] / 2
    assert centre.tolist() == [pytest.approx(430, abs=15), pytest.approx(200, abs=15)]


def test_the_range_agrees_with_the_model_s_own_distribution(fast):
    table = analyze_video(fast, moving(lambda t: (200, 180), seconds=1.5), coverage=0.8)
    row = table.iloc[0]
    distribution = fast.calibration_.distribution(np.array([row["age"]]), np.array([row["scale"]]))
    assert distribution.interval(0.8)[0].tolist() == [row["age_low"], row["age_high"]]
    assert 1 - distribution.over(18)[0] == pytest.approx(row["p_under_18"])


def test_a_real_sequence_shows_one_person(fast):
    table = analyze_video(fast, carphone())
    assert len(table) == 1
    assert table["n_frames"][0] > 100
    assert 18 < table["age"][0] < 55


def test_the_same_video_gives_the_same_table(fast):
    one, other = (
        analyze_video(fast, moving(lambda t: (150 + 60 * t, 180), seconds=2)) for _ in range(2)
    )
    pd.testing.assert_frame_equal(one, other)


def test_a_video_without_people_gives_no_row(fast):
    table = analyze_video(fast, moving(seconds=1))
    assert len(table) == 0
    assert list(table.columns) == COLUMNS


def test_times_name_a_day_where_the_film_s_beginning_is_known(fast):
    table = analyze_video(fast, moving(lambda t: (200, 180), seconds=1), began="2025-03-01 10:00")
    assert table["start"][0] == pd.Timestamp("2025-03-01 10:00")
    assert table["end"][0] == pd.Timestamp("2025-03-01 10:00:00.9")


def test_frames_that_are_lost_get_a_row(tmp_path, fast):
    path = write_film(tmp_path / "a.avi", moving(lambda t: (200, 180), seconds=5), codec="MJPG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    table = analyze_video(fast, path)
    assert table["status"].tolist() == ["ok", "cut short"]
    assert table["track"].isna().tolist() == [False, True]
    assert "before its stated end" in table["message"][1]
    broken = [(0.0, picture((200, 180))), (0.1, b"no photo"), (0.2, picture((200, 180)))]
    table = analyze_video(fast, broken)
    assert table["status"].tolist() == ["ok", "broken frames"]


def test_no_video_is_a_clear_error_and_a_live_source_has_no_end(fast, tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        analyze_video(fast, tmp_path / "missing.mp4")


def test_a_model_without_ranges_gives_ages_alone(fast):
    import copy

    model = copy.copy(fast)
    model.calibration_ = None
    table = analyze_video(model, moving(lambda t: (200, 180), seconds=1))
    assert table["age"].notna().all()
    assert table[["age_low", "age_high", "p_under_18", "scale"]].isna().all(axis=None)


def test_while_somebody_stands_there_the_age_is_known_already_and_hardly_changes(fast):
    shown = []
    moments = watch_video(fast, moving(lambda t: (200 + 20 * t, 180), seconds=4))
    for moment in moments:
        shown += [person.age for person in moment.people if person.n_used >= 3]
    assert len(shown) > 25
    assert np.std(shown) < 3
    assert [person.number for person in moment.finished] == [0]


def test_a_face_that_is_always_before_another_has_no_age(fast):
    person = PersonTrack(0, 0.0, 1.0, BOX, fast, BestFrames(8))
    assert np.isnan(person.age)
    assert person.n_used == 0
    assert check(person, AlcoholPolicy()).answer == "cannot tell"


def person_of(fast, ages, quality=0.9, scale=1.0):
    person = PersonTrack(0, 0.0, 1.0, BOX, fast, BestFrames(8))
    for number, age in enumerate(ages):
        person.best.keep(measured(number, quality, age=age, scale=scale))
    return person


def test_check_asks_at_the_first_frame_and_sells_after_three(fast):
    policy = AlcoholPolicy()
    assert check(person_of(fast, [15.0]), policy).answer == "ask"
    assert check(person_of(fast, [60.0]), policy).answer == "cannot tell"
    answer = check(person_of(fast, [60.0, 61.0, 62.0]), policy)
    assert answer.answer == "sell"
    assert answer.age == pytest.approx(61, abs=0.5)
    assert answer.age_low < answer.age < answer.age_high


def test_check_does_not_judge_a_face_that_is_seen_badly(fast):
    answer = check(person_of(fast, [60.0] * 4, quality=0.05), AlcoholPolicy())
    assert answer.answer == "cannot tell"
    assert "cannot be seen well" in answer.reason


def test_frames_that_cannot_be_relied_on_are_left_out_if_there_are_others(fast):
    person = person_of(fast, [30.0, 31.0])
    person.best.keep(measured(5, 0.01, age=70.0))
    assert person.n_used == 2
    assert person.age == pytest.approx(30.5, abs=0.1)


def test_a_face_that_is_covered_is_not_relied_on_however_sharp_it_is(fast):
    person = person_of(fast, [])
    for time in range(3):
        person.best.keep(measured(time, 0.9, "covered", age=70.0))
    assert person.reliable is False
    answer = check(person, AlcoholPolicy())
    assert answer.answer == "cannot tell"
    assert "part of the face is covered" in answer.reason
    person.best.keep(measured(5, 0.01, age=50.0))
    # Even a face that is hardly seen says more than one that is covered.
    assert person.reliable is False
    assert person.age == pytest.approx(50, abs=0.1)
    person.best.keep(measured(6, 0.9))
    assert person.reliable is True
    assert person.age == pytest.approx(30, abs=0.1)


def test_the_table_names_what_is_amiss_with_who_cannot_be_relied_on(fast):
    people = [person_of(fast, ages) for ages in ([], [30.0], [], [])]
    people[2].best.keep(measured(0, 0.9, "covered"))
    people[3].best.keep(measured(0, 0.02))
    table = people_table(people, 0.9)
    assert table["status"].tolist() == ["no age", "ok", "ok", "ok"]
    assert table["reliable"].tolist() == [False, True, False, False]
    assert "apart from another" in table["message"][0]
    assert table["message"][1:].tolist() == [
        "",
        "covered: part of the face is covered",
        "too small",
    ]


def test_a_model_that_does_not_know_what_is_seen_well_still_relies_on_no_covered_face(fast):
    import copy

    model = copy.copy(fast)
    model.quality_threshold_ = None
    person = person_of(model, [30.0])
    assert person.reliable is None
    covered = person_of(model, [])
    covered.best.keep(measured(0, 0.9, "covered"))
    assert covered.reliable is False


def test_neither_frames_nor_faces_are_held_once_people_have_left(fast):
    analyzer = VideoAnalyzer(fast)
    for number, (time, frame) in enumerate(
        moving(lambda t: (200, 180) if t < 1 else None, seconds=4)
    ):
        analyzer.update(Frame(frame, time, number))
    assert analyzer.is_idle
    assert analyzer._people == {}


def test_n_best_must_be_one_or_more(fast):
    with pytest.raises(ValueError, match="n_best=0"):
        VideoAnalyzer(fast, n_best=0)


def test_read_frames_may_be_passed_in_the_place_of_a_source(fast):
    frames = read_frames(list(moving(lambda t: (200, 180), seconds=2)), per_second=5)
    table = analyze_video(fast, frames)
    assert table["n_frames"].tolist() == [10]
