"""One age for each person of a video: how near it is, how far off it says that it can be, how fast.

    python benchmarks/video.py accuracy --data UTKFACE [--out docs/video.md]

Parts: ``learn`` learns how ranges shrink with the number of frames, and writes it into the
package; ``accuracy`` compares rules on clips made from photos, ``people`` on several real photos of
a person; ``hour`` follows everybody through a made hour at a till. ``speed``, ``memory``,
``stream`` and ``broken`` need no photos but the one that comes with scikit-image.

Clips are made, not filmed, from photos of fold 7: see ``_clips.py``. The networks have seen folds 0
to 5 only. The regressor of the model that ships has learnt from fold 7 too, so figures come from
another like it, which learns from fold 6 alone. How ranges shrink is learnt from four fifths of the
clips and judged on the fifth, five times. So nobody is learnt from, and judged.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import _one_thread  # noqa: F401
import _page
import cv2
import numpy as np
import pandas as pd
from _data import add_data_arguments, add_elsewhere_argument, photo_digests, read_data
from _till_hour import try_hour
from _track_records import ClipRecord, record_clips
from _track_rules import (
    Frames,
    accuracy_rows,
    coverage_rows,
    errors_by_rule,
    frames_of,
    jitter,
    learn_errors,
)
from _video_runs import try_broken, try_memory, try_speed, try_stream
from train_pretrained import make_estimator

import ageboost
import ageboost.video.combination as combination
from ageboost.faces import FaceFinder
from ageboost.video._mirror import mirror_face

_MEASURES = (
    *("MAE, years", "95 % interval", "against a random one"),
    "ours less this one, years (95 % interval)",
)


def clip_photos(options: argparse.Namespace) -> pd.DataFrame:
    """Photos of fold 7 that have no identical copy anywhere; always in the same order."""
    table = read_data(options.data)
    single = ~photo_digests(table).duplicated(keep=False)
    return table[single & (table["fold"] == 7)].sample(800, random_state=0)


def clean_model(options: argparse.Namespace) -> ageboost.AgeEstimator:
    """The model ``fast``, whose regressor learns from fold 6 alone."""
    table = read_data(options.data)
    table = table[table["fold"] == 6]
    shipped = ageboost.load_pretrained("fast")
    model = make_estimator("fast", 1).set_params(cache=options.cache)
    # Faces as the model that ships finds them.
    model.features = shipped.features_
    return model.fit(table["photo"].tolist(), table["age"].to_numpy())


def read_clips(options: argparse.Namespace) -> list[ClipRecord]:
    """Make the clips, and measure the face in every frame of them."""
    photos = clip_photos(options).iloc[: options.clips]
    shipped = ageboost.load_pretrained("fast").set_params(n_jobs=1)
    cache = None if options.cache is None else options.cache / "clips"
    return record_clips(photos["photo"].tolist(), photos["age"].tolist(), shipped, cache)


def ask(records: list[ClipRecord], model: ageboost.AgeEstimator) -> list[Frames]:
    """Ask a model about every frame of those clips that show a face."""
    clips = [frames_of(record, str(number), model) for number, record in enumerate(records)]
    return [clip for clip in clips if clip is not None]


def learn(options: argparse.Namespace) -> None:
    model = clean_model(options)
    clips = ask(read_clips(options), model)
    errors = learn_errors(clips, model)
    path = Path(combination.__file__).with_name("track_errors.json")
    facts = {
        "shared": errors.shared,
        "factor": errors.factor,
        "clips": len(clips),
        "made_by": "python benchmarks/video.py learn",
    }
    path.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    print(facts)


def accuracy(options: argparse.Namespace) -> list[str]:
    records = read_clips(options)
    shipped = ageboost.load_pretrained("fast").set_params(n_jobs=1)
    model = clean_model(options)
    rows, steady = [], []
    for name, one in (("learnt from fold 6", model), ("as it ships", shipped)):
        clips = ask(records, one)
        rows += [[name, *row] for row in accuracy_rows(clips, errors_by_rule(clips, one))]
        single, shown = jitter(clips, one)
        steady.append([name, f"{single:.2f}", f"{shown:.2f}", f"{shown / single:.2f}"])
    clips = ask(records, model)
    print(f"{len(clips)} of {len(records)} clips show a face that is found")
    return [
        _page.table(["regressor", "age from", *_MEASURES], rows),
        _page.table(["jitter", "single frames, years", "what is shown, years", "ratio"], steady),
        _page.table(
            ["ranges that promise 90 %", "true ages inside", "mean width, years"],
            coverage_rows(clips, model),
        ),
    ]


def people(options: argparse.Namespace) -> list[str]:
    """Several real photos of a person within some years, in the place of frames."""
    table = pd.read_csv(options.elsewhere / "labels.csv")
    model = ageboost.load_pretrained("fast").set_params(n_jobs=1)
    rows = []
    together: list[Frames] = []
    for source, name, years, fewest in (
        ("fgnet", "FG-NET, two or more within a year", 1, 2),
        ("fgnet", "FG-NET, four or more within five years", 5, 4),
        ("london", "London, two of one day", 0, 2),
    ):
        clips = [
            clip
            for person, photos in table[table["source"] == source].groupby("subject")
            for near in photos_within(photos, years, fewest)
            if (clip := clip_of_photos(options.elsewhere, person, near, model)) is not None
        ]
        n_people = len({clip.person for clip in clips})
        n_photos = sum(len(clip.times) for clip in clips)
        print(f"{name}: {len(clips)} times of {n_people} people, {n_photos} photos")
        rows += [[name, *row] for row in accuracy_rows(clips, errors_by_rule(clips, model))]
        together += clips
    pooled = accuracy_rows(together, errors_by_rule(together, model))
    rows += [["all of these", *row] for row in pooled]
    return [_page.table(["real photos", "age from", *_MEASURES], rows)]


def photos_within(photos: pd.DataFrame, years: float, fewest: int) -> Iterator[pd.DataFrame]:
    """Yield photos of one person whose ages are so many years apart at most."""
    rest = photos.sort_values("age", kind="stable")
    while len(rest):
        near = rest["age"] <= rest["age"].iloc[0] + years
        if near.sum() >= fewest:
            yield rest[near]
        rest = rest[~near]


def clip_of_photos(
    folder: Path, person: str, photos: pd.DataFrame, model: ageboost.AgeEstimator
) -> Frames | None:
    """Take photos for the frames of a clip, further apart in time than a slot is long."""
    found = FaceFinder(landmarks=5).find_each(
        [str(folder / photo) for photo in photos["photo"]], main_only=True
    )
    known = [
        (faces[0], age)
        for faces, age in zip(found, photos["age"], strict=True)
        if isinstance(faces, list)
    ]
    if len(known) < 2:
        return None
    faces, ages = [face for face, _ in known], np.array([age for _, age in known])
    record = ClipRecord(
        float(ages.mean()),
        np.arange(len(faces), dtype=float) * 60,
        np.zeros(len(faces), dtype=np.intp),
        [face.quality for face in faces],
        model.features_.transform_faces(faces),
        model.features_.transform_faces([mirror_face(face) for face in faces]),
    )
    clip = frames_of(record, person, model)
    # As if all had been taken at the same age.
    older = ages - ages.mean()
    return replace(clip, ages=clip.ages - older, both_ages=clip.both_ages - older)


PARTS = {
    "learn": learn,
    "accuracy": accuracy,
    "people": people,
    "speed": lambda options: try_speed(),
    "memory": lambda options: try_memory(options.frames),
    "hour": lambda options: try_hour(clip_photos(options)["photo"].tolist(), options.minutes),
    "stream": lambda options: try_stream(options.rounds),
    "broken": lambda options: try_broken(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--clips", type=int, default=680, help="how many (default: 680)")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="of the till's hour (default: all 60)"
    )
    parser.add_argument("--frames", type=int, default=100_000, help="fed in a loop")
    parser.add_argument("--rounds", type=int, default=20, help="how often the server is killed")
    parser.add_argument("--out", type=Path, help="Markdown page whose tables are to be replaced")
    add_data_arguments(parser)
    add_elsewhere_argument(parser)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for part in options.parts:
        tables = PARTS[part](options) or []
        print("\n\n".join(tables), flush=True)
        if options.out is not None:
            _page.put_tables(options.out, tables)


if __name__ == "__main__":
    main()
