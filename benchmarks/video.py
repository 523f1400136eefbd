"""One age for each person of a video: how near it is, how far off it says that it can be, how fast.

    python benchmarks/video.py accuracy --data UTKFACE [--out docs/video.md]

Parts: ``learn`` learns how ranges shrink with the number of frames, and writes it into the
package; ``accuracy`` compares rules on clips made from photos, ``people`` on several real photos of
a person; ``hour`` follows everybody through a made hour at a till. ``speed``, ``memory``,
``stream`` and ``broken`` need no photos but the one that comes with scikit-image.

Clips are made, not filmed, from photos of fold 7: see ``_clips.py``. The networks have seen folds 0
to 5 only. The regressor of the model that ships has learnt from fold 7 too, so figures come from
another like it, which learns from fold 6 alone; constants come from the first clips, figures from
the others. So nobody is learnt from, and judged.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import _one_thread  # noqa: F401
import _page
import cv2
import numpy as np
import pandas as pd
from _data import add_data_arguments, photo_digests, read_data
from _till_hour import try_hour
from _track_records import ClipRecord, record_clips
from _track_rules import (
    accuracy_rows,
    coverage_by_count,
    errors_by_rule,
    frames_of,
    jitter,
    learn_errors,
    paired_difference,
)
from _video_runs import try_broken, try_memory, try_speed, try_stream
from train_pretrained import make_estimator

import ageboost
import ageboost.video.combination as combination
from ageboost.faces import FaceFinder
from ageboost.video._mirror import mirror_face

ELSEWHERE = Path(__file__).resolve().parents[2] / "shared" / "datasets" / "elsewhere"
N_LEARN = 200


def clip_photos(options: argparse.Namespace) -> pd.DataFrame:
    """Photos of fold 7 that have no identical copy anywhere; always in the same order."""
    table = read_data(options.data)
    single = ~photo_digests(table).duplicated(keep=False)
    return table[single & (table["fold"] == 7)].sample(N_LEARN + 600, random_state=0)


def clean_model(options: argparse.Namespace) -> ageboost.AgeEstimator:
    """The model ``fast``, whose regressor learns from fold 6 alone."""
    table = read_data(options.data)
    table = table[table["fold"] == 6]
    shipped = ageboost.load_pretrained("fast")
    model = make_estimator("fast", 1).set_params(cache=options.cache)
    # Faces as the model that ships finds them.
    model.features = shipped.features_
    return model.fit(table["photo"].tolist(), table["age"].to_numpy())


def read_clips(options: argparse.Namespace, first: int, last: int, model) -> list:
    photos = clip_photos(options).iloc[:last]
    cache = None if options.cache is None else options.cache / "clips"
    records = record_clips(photos["photo"].tolist(), photos["age"].tolist(), model, cache, first)
    clips = [frames_of(record, model) for record in records]
    found = [clip for clip in clips if clip is not None]
    print(f"{len(found)} of {len(clips)} clips show a face that is found")
    return found


def learn(options: argparse.Namespace) -> None:
    model = clean_model(options)
    clips = read_clips(options, 0, N_LEARN, model)
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
    model = clean_model(options)
    clips = read_clips(options, N_LEARN, N_LEARN + options.clips, model)
    tables = []
    shipped = ageboost.load_pretrained("fast").set_params(n_jobs=1)
    rows = []
    for name, one in (("learnt from fold 6", model), ("as it ships", shipped)):
        mine = clips if one is model else read_clips(options, N_LEARN, N_LEARN + options.clips, one)
        errors = errors_by_rule(mine, one)
        rows += [[name, *row] for row in accuracy_rows(errors)]
        difference, low, high = paired_difference(errors, "the best by quality")
        print(f"{name}: ours less the best frame {difference:+.2f} ({low:+.2f} to {high:+.2f})")
        single, shown = jitter(mine, one)
        inside = np.mean([clip.inside.mean() for clip in mine])
        print(f"{name}: jitter {single:.2f} of frames, {shown:.2f} shown ({shown / single:.2f})")
        print(f"{name}: 90 % ranges of single frames hold {inside:.1%}")
    header = ["regressor", "age from", "MAE, years", "95 % interval", "against a random frame"]
    tables.append(_page.table(header, rows))
    rows = [
        [str(n), f"{inside:.1%}", f"{width:.1f}"]
        for n, inside, width in coverage_by_count(clips, model)
    ]
    tables.append(_page.table(["frames used, at most", "true ages inside", "mean width"], rows))
    return tables


def people(options: argparse.Namespace) -> list[str]:
    """Several real photos of a person within a year, in the place of frames."""
    folder = Path(os.environ.get("AGEBOOST_ELSEWHERE", ELSEWHERE))
    table = pd.read_csv(folder / "labels.csv")
    table = table[table["source"] == "fgnet"].sort_values(["subject", "age"])
    year = (table["age"] // 2).astype(int)
    model = ageboost.load_pretrained("fast").set_params(n_jobs=1)
    finder, clips = FaceFinder(landmarks=5), []
    for _, group in table.groupby(["subject", year]):
        found = finder.find_each([str(folder / photo) for photo in group["photo"]], main_only=True)
        known = [(f[0], age) for f, age in zip(found, group["age"], strict=True) if type(f) is list]
        if len(known) < 2:
            continue
        faces = [face for face, _ in known]
        # Each photo is further in time than a slot is long: all of them are measured.
        record = ClipRecord(
            float(np.mean([age for _, age in known])),
            np.arange(len(faces), dtype=float) * 60,
            np.zeros(len(faces), dtype=np.intp),
            [face.quality for face in faces],
            model.features_.transform_faces(faces),
            model.features_.transform_faces([mirror_face(face) for face in faces]),
        )
        clips.append(frames_of(record, model))
    errors = errors_by_rule(clips, model)
    n_photos = sum(len(clip.times) for clip in clips)
    print(f"{len(clips)} times of life of FG-NET's people, {n_photos} photos")
    difference, low, high = paired_difference(errors, "the best by quality")
    print(f"ours less the best photo {difference:+.2f} ({low:+.2f} to {high:+.2f})")
    header = ["FG-NET: age from", "MAE, years", "95 % interval", "against a random photo"]
    return [_page.table(header, accuracy_rows(errors))]


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
    parser.add_argument("--clips", type=int, default=600, help="how many judge (default: 600)")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the till (default: 60)")
    parser.add_argument("--frames", type=int, default=100_000, help="fed in a loop")
    parser.add_argument("--rounds", type=int, default=20, help="how often the server is killed")
    parser.add_argument("--out", type=Path, help="Markdown page whose tables are to be replaced")
    add_data_arguments(parser)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for part in options.parts:
        tables = PARTS[part](options) or []
        print("\n\n".join(tables), flush=True)
        if options.out is not None:
            _page.put_tables(options.out, tables)


if __name__ == "__main__":
    main()
