"""What a report says about the photos themselves, whatever a model makes of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from ageboost._pages.blocks import Gallery, GalleryItem, Note, Picture, Section, Table
from ageboost.evaluation.group_metrics import age_groups
from ageboost.evaluation.report.collection import (
    LABEL_COLUMNS,
    NOT_LABELLED,
    Collection,
)
from ageboost.evaluation.report.data_figures import draw_age_panels, draw_ages, draw_qualities

__all__ = ["DOUBTFUL", "data_sections", "unusable_section"]

_N_SAMPLES = 12
_N_SETS_SHOWN = 36
_N_SUSPECTS_SHOWN = 48
_N_FAILURES_SHOWN = 24
_N_ROWS = 2000
_LONGEST_REASON = 300
_FEW = 30
# Where each part of ``Quality.overall`` falls below 1.
_SMALL, _BLURRED, _TURNED, _UNSURE = 80.0, 8.0, 30.0, 0.5
_POOR = 0.5
_STATUSES = {"no face": "no face found in", "unreadable": "unreadable", "too large": "too large"}
#: Times the usual error. Of a normal distribution, one in 1300 is so many times as far
#: off as the median.
DOUBTFUL = 5.0


def data_sections(collection: Collection) -> list[Section]:
    """Write the sections about photos and their labels.

    Parameters
    ----------
    collection : Collection

    Returns
    -------
    list of Section
    """
    parts: list[Callable[[Collection], Section]] = [_ages]
    if collection.with_photos:
        parts.append(_samples)
    parts += [_quality, _failures, _copies, _near_copies, _suspects]
    return [part(collection) for part in parts]


def unusable_section(
    unusable: Sequence[tuple[int | str, str]], folder: str | os.PathLike[str] | None
) -> Section:
    """Write the section about rows of the labels that could not be used.

    Parameters
    ----------
    unusable : sequence of (int or str, str)
        Row, or what it is called, and what is wrong with it.
    folder : path or None
        What names of photos in the page leave out.

    Returns
    -------
    Section
    """
    above = "" if folder is None else os.path.join(folder, "")
    rows = [
        [
            row if isinstance(row, str) else f"row {row}",
            (problem.replace(above, "") if above else problem)[:_LONGEST_REASON],
        ]
        for row, problem in unusable[:_N_ROWS]
    ]
    caption = _first("Rows that cannot be used", len(rows), len(unusable))
    return Section(
        "rows",
        "Rows without a usable label",
        f"{len(unusable):,} rows of the labels cannot be used. They are left out of all that "
        "follows.",
        [Table(caption, ["where", "why"], rows, texts=(0, 1), folded=True)],
    )


def _ages(collection: Collection) -> Section:
    ages = collection.table["age"]
    groups = pd.Series(age_groups(ages), index=ages.index)
    counts = groups.value_counts(sort=False)
    few = counts[counts < _FEW]
    finding = (
        f"Half of the {len(ages):,} photos show people of {ages.quantile(0.25):g} to "
        f"{ages.quantile(0.75):g} years; the commonest age is {ages.mode().iloc[0]:g}, "
        f"and {(ages < 18).mean():.0%} are under 18."
    )
    if len(few):
        listed = ", ".join(f"{name} ({count})" for name, count in few.items())
        finding += f" Age groups with fewer than {_FEW} photos: {listed}."
    columns = [name for name in LABEL_COLUMNS if name in collection.table]
    crossed = {name: pd.crosstab(groups, collection.labels(name), dropna=False) for name in columns}
    header = ["age", "photos", "share"]
    for name, table in crossed.items():
        # Who is not labelled comes last, with the name of the label.
        crossed[name] = table = table[sorted(table, key=lambda label: label == NOT_LABELLED)]
        header += [f"{name} {label}" if label == NOT_LABELLED else str(label) for label in table]
    rows = [
        [str(group), f"{count:,}", f"{count / len(ages):.1%}"]
        + [f"{table.loc[group, label]:,}" for table in crossed.values() for label in table]
        for group, count in counts.items()
    ]
    blocks: list[Picture | Table] = [
        Picture.of_figure(
            draw_ages(ages.to_numpy()),
            f"Histogram of the ages of {len(ages):,} photos, from {ages.min():g} to "
            f"{ages.max():g} years. The table below gives the numbers by age group.",
        )
    ]
    for name, table in crossed.items():
        labels = collection.labels(name)
        values = {
            label: ages[labels == label].to_numpy() for label in table if label != NOT_LABELLED
        }
        if not values:
            continue
        medians = ", ".join(f"{label} {np.median(years):g}" for label, years in values.items())
        blocks.append(
            Picture.of_figure(
                draw_age_panels(values),
                f"Histograms of ages by {name}, one below the other. Median ages: {medians}.",
            )
        )
    blocks.append(Table("Photos by age group", header, rows))
    return Section("ages", "Ages", finding, blocks)


def _samples(collection: Collection) -> Section:
    table = collection.table[collection.table["status"] == "ok"].reset_index()
    groups = pd.Series(age_groups(table["age"]))
    drawn = {
        name: sorted(
            rows.sample(min(_N_SAMPLES, len(rows)), random_state=0),
            key=collection.table["age"].iloc.__getitem__,
        )
        for name, rows in table["index"].groupby(groups, observed=True)
    }
    pictures = collection.pictures(list(drawn.values()))
    blocks = [
        Gallery(
            f"Aged {name}",
            [
                GalleryItem([picture], [f"{collection.table['age'].iloc[i]:g}"])
                for i, picture in zip(positions, made, strict=True)
            ],
        )
        for (name, positions), made in zip(drawn.items(), pictures, strict=True)
    ]
    n_drawn = sum(map(len, drawn.values()))
    finding = f"{n_drawn} faces drawn at random, at most {_N_SAMPLES} from each age group."
    return Section("samples", "Some of the faces", finding, blocks)


def _quality(collection: Collection) -> Section:
    table = collection.table[collection.table["status"] == "ok"]
    poor = table["quality"] < _POOR
    problems = {
        "small": table["face_size"] < _SMALL,
        "blurred": table["sharpness"] < _BLURRED,
        "turned away": table["yaw"].abs() > _TURNED,
        "hard to recognise as a face": table["score"] < _UNSURE,
    }
    counts = {name: int(flags.sum()) for name, flags in problems.items()}
    commonest = max(counts, key=lambda name: counts[name])
    finding = f"{poor.mean():.1%} of the faces are hard to see (quality under {_POOR:g})."
    if counts[commonest]:
        finding += f" What falls short most often: {counts[commonest]:,} faces are {commonest}."
    measures = {
        "face size (pixels)": (table["face_size"].to_numpy(), _SMALL),
        "sharpness (grey levels)": (table["sharpness"].to_numpy(), _BLURRED),
        "turn of the head (degrees)": (table["yaw"].abs().to_numpy(), _TURNED),
        "detector's score": (table["score"].to_numpy(), _UNSURE),
    }
    medians = "; ".join(
        f"{name}: median {np.nanmedian(values):.3g}"
        for name, (values, _) in measures.items()
        if not np.isnan(values).all()
    )
    spread = {
        "photo width (pixels)": collection.table["width"].dropna().astype(float),
        "photo height (pixels)": collection.table["height"].dropna().astype(float),
        **{name: pd.Series(values).dropna() for name, (values, _) in measures.items()},
        "quality (0 to 1)": table["quality"],
    }
    quantiles = (0.0, 0.05, 0.5, 0.95, 1.0)
    rows = [
        [
            name,
            *(_number(values.quantile(q), whole=values.max() >= 100) for q in quantiles),
        ]
        for name, values in spread.items()
        if len(values)
    ]
    sizes = collection.table.dropna(subset=["width"]).value_counts(["width", "height"]).head(5)
    return Section(
        "quality",
        "Photos and how well faces are seen",
        finding,
        [
            Picture.of_figure(
                draw_qualities(measures),
                f"Four histograms, each with a dashed line from where on quality falls. {medians}.",
            ),
            Table(
                "Sizes and quality",
                ["", "least", "5% are below", "median", "5% are above", "most"],
                rows,
            ),
            Table(
                "What falls short, by itself",
                ["faces that are", "photos", "share", "counted if"],
                [
                    [name, f"{counts[name]:,}", f"{counts[name] / len(table):.1%}", rule]
                    for name, rule in zip(
                        counts,
                        (
                            f"under {_SMALL:g} pixels",
                            f"sharpness under {_BLURRED:g}",
                            f"turned by more than {_TURNED:g} degrees",
                            f"score under {_UNSURE:g}",
                        ),
                        strict=True,
                    )
                ],
                texts=(0, 3),
            ),
            Table(
                "Commonest sizes of photos",
                ["width x height (pixels)", "photos"],
                [[f"{width} x {height}", f"{count:,}"] for (width, height), count in sizes.items()],
            ),
        ],
    )


def _failures(collection: Collection) -> Section:
    table = collection.table
    failed = table[table["status"] != "ok"]
    title = "Photos without a face"
    if failed.empty:
        return Section("failures", title, "A face was found in every photo.")
    counts = failed["status"].value_counts()
    listed = ", ".join(f"{_STATUSES[status]} {count:,}" for status, count in counts.items())
    finding = (
        f"{len(failed):,} of {len(table):,} photos ({len(failed) / len(table):.2%}) give no face: "
        f"{listed}. They are left out of all that follows."
    )
    seen = np.flatnonzero(table["status"] == "no face")[:_N_FAILURES_SHOWN]
    pictures = collection.pictures([[int(i)] for i in seen])
    items = [
        GalleryItem(made, [table["photo"].iloc[i], collection.describe(i)])
        for i, made in zip(seen, pictures, strict=True)
        if made
    ]
    blocks: list[Gallery | Table] = []
    if items:
        blocks.append(Gallery("Photos in which no face was found", items))
    rows = [
        [row.photo, row.status, row.message[:_LONGEST_REASON]]
        for row in failed.head(_N_ROWS).itertuples()
    ]
    caption = _first("Every photo without a face, and why", len(rows), len(failed))
    blocks.append(Table(caption, ["photo", "what", "why"], rows, texts=(0, 1, 2), folded=True))
    return Section("failures", title, finding, blocks)


def _copies(collection: Collection) -> Section:
    sets = _sets(collection, "copies")
    if not sets:
        return Section(
            "copies", "The same file twice", "No file is there twice under different names."
        )
    n_more = sum(len(positions) - 1 for positions in sets)
    differ = _count_differing(collection, sets)
    finding = (
        f"{n_more:,} photos are byte for byte the same as another. {differ} Leave copies out, or "
        "keep them on one side of every split."
    )
    return Section(
        "copies",
        "The same file twice",
        finding,
        _show_sets(collection, sets, "Files that are the same"),
    )


def _near_copies(collection: Collection) -> Section:
    copies = collection.table["copies"].to_numpy()
    sets = [
        positions
        for positions in _sets(collection, "near_copies")
        if len(set(copies[positions])) > 1
    ]
    title = "Nearly the same photo twice"
    if not sets:
        return Section("near-copies", title, "No two different files show nearly the same photo.")
    n_more = sum(len(set(copies[positions])) - 1 for positions in sets)
    differ = _count_differing(collection, sets)
    finding = (
        f"{n_more:,} photos are nearly the same as another: scaled, compressed, recoloured or "
        f"taken a moment later. {differ} They belong on one side of every split, too."
    )
    return Section(
        "near-copies",
        title,
        finding,
        _show_sets(collection, sets, "Photos that are nearly the same"),
    )


def _suspects(collection: Collection) -> Section:
    title = "Labels to look at"
    ranked = collection.table.dropna(subset=["times"]).sort_values(
        "times", ascending=False, kind="stable"
    )
    if ranked.empty:
        return Section(
            "labels", title, "There are too few photos with faces to say which labels are odd."
        )
    n_doubtful = int((ranked["times"] >= DOUBTFUL).sum())
    finding = (
        f"{n_doubtful:,} of {len(ranked):,} labels differ from the estimate out of other photos "
        f"by {DOUBTFUL:g} times the usual error at such ages or more: look at them first."
        if n_doubtful
        else "No label differs much from what the other photos suggest, for its age."
    )
    shown = ranked.index[:_N_SUSPECTS_SHOWN].tolist()
    of_them = _of_doubtful(n_doubtful, len(shown))
    pictures = collection.pictures([[i] for i in shown])
    items = [
        GalleryItem(
            made,
            [
                f"labelled {collection.table['age'].iloc[i]:g}, "
                f"looks {collection.table['estimate'].iloc[i]:.0f}",
                collection.table["photo"].iloc[i],
            ],
        )
        for i, made in zip(shown, pictures, strict=True)
    ]
    listed = ranked.head(max(n_doubtful, _N_SUSPECTS_SHOWN)).head(_N_ROWS)
    rows = [
        [
            row.photo,
            f"{row.age:g}",
            f"{row.estimate:.0f}",
            f"{row.usual_error:.1f}",
            f"{row.times:.1f}",
        ]
        for row in listed.itertuples()
    ]
    return Section(
        "labels",
        title,
        finding,
        [
            Note(
                "Each age is estimated from photos other than this one and its copies, by a quick "
                "method. A face that looks far from its label can still be labelled rightly: a "
                "label is doubtful, not wrong, until somebody has looked."
            ),
            Gallery(f"Labels by how doubtful they are: {of_them}", items),
            Table(
                f"Labels by how doubtful they are: {_of_doubtful(n_doubtful, len(rows))}",
                ["photo", "label", "estimate", "usual error", "times the usual"],
                rows,
                folded=True,
            ),
        ],
    )


def _of_doubtful(n_doubtful: int, n_shown: int) -> str:
    """Say which of the labels that are shown in order are doubtful: the first ones."""
    if n_doubtful == 0:
        return f"the {n_shown:,} farthest from their estimates, none of them doubtful"
    if n_doubtful == n_shown:
        return f"the {n_shown:,} doubtful ones"
    if n_doubtful > n_shown:
        return f"the first {n_shown:,} of {n_doubtful:,} doubtful ones"
    return f"the first {n_doubtful:,} are doubtful, the others come next"


def _number(value: float, whole: bool) -> str:
    return f"{value:,.0f}" if whole else f"{value:.2f}"


def _sets(collection: Collection, column: str) -> list[list[int]]:
    """Sets of several photos, those first whose labelled ages are furthest apart."""
    numbers = collection.table[column]
    several = numbers[numbers.duplicated(keep=False)]
    ages = collection.table["age"]
    sets = [rows.index.tolist() for _, rows in several.groupby(several)]
    return sorted(sets, key=lambda positions: -np.ptp(ages.iloc[positions]))


def _count_differing(collection: Collection, sets: list[list[int]]) -> str:
    """Describe how many sets are labelled differently, by kind of label."""
    counts = {}
    for name in ("age", *LABEL_COLUMNS):
        if name in collection.table:
            labels = collection.table[name]
            counts[name] = sum(len(set(labels.iloc[p].dropna())) > 1 for p in sets)
    if not any(counts.values()):
        return "Their labels agree."
    counted = ", ".join(f"{count:,} in {name}" for name, count in counts.items() if count)
    n_sets = f"their {len(sets):,} sets" if len(sets) > 1 else "their one set"
    return f"Labels disagree within {n_sets}: {counted}."


def _show_sets(collection: Collection, sets: list[list[int]], title: str) -> list[Gallery | Table]:
    shown = [positions[:4] for positions in sets[:_N_SETS_SHOWN]]
    names = collection.table["photo"]
    items = [
        GalleryItem(
            made,
            [
                "labelled " + " and ".join(_ages_of(collection, positions)),
                *(names.iloc[i] for i in positions[:4]),
            ],
        )
        for positions, made in zip(sets, collection.pictures(shown), strict=False)
    ]
    rows = [
        [", ".join(_ages_of(collection, positions)), "; ".join(names.iloc[positions])]
        for positions in sets[:_N_ROWS]
    ]
    return [
        Gallery(_first(f"{title}, by how far ages are apart", len(items), len(sets)), items),
        Table(
            _first("Every set", len(rows), len(sets)),
            ["labelled", "photos"],
            rows,
            texts=(0, 1),
            folded=True,
        ),
    ]


def _ages_of(collection: Collection, positions: list[int]) -> list[str]:
    return [f"{age:g}" for age in sorted(set(collection.table["age"].iloc[positions]))]


def _first(title: str, n_shown: int, n_all: int) -> str:
    return title if n_shown >= n_all else f"{title} (the first {n_shown:,} of {n_all:,})"
