"""Commands about a model there is: evaluate, calibrate, adapt, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ageboost._progress import show_progress
from ageboost.cli._labels import (
    LabelColumns,
    name_rows,
    read_labels_or_refuse,
    read_usable_labels,
)
from ageboost.cli._model_options import (
    AgeColumnOption,
    CommercialOption,
    LabelsArgument,
    ModelArgument,
    OwnPhotosOption,
    PhotoColumnOption,
    SkipOption,
    check_model_path,
    left_out,
    left_out_named_at_the_end,
    print_terms,
    terms_of_photos,
)
from ageboost.cli._shared import (
    CacheOption,
    JobsOption,
    MaxSideOption,
    advised,
    check_apart,
    check_suffix,
    check_table_path,
    failures,
    finish,
    load_model,
    look_with,
    refuse,
    refuse_errors,
    replace_table,
    writing,
)
from ageboost.terms import photo_terms

if TYPE_CHECKING:
    import pandas as pd

    from ageboost import AgeEstimator

app = typer.Typer()


@app.command()
def evaluate(
    model: ModelArgument,
    labels: LabelsArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A .csv, .json or .parquet file for the error of each photo."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Another model to compare with on the same photos."),
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(
            help="Column that says who is in each photo; people are resampled as a whole."
        ),
    ] = None,
    max_side: MaxSideOption = None,
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    skip_bad_rows: SkipOption = False,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Compare a model's ages with the true ones, and with those of another model."""
    from ageboost.evaluation import summarize_errors

    if group_column is not None and against is None:
        refuse("--group-column is for a comparison: name the other model with --against")
    if out is not None:
        check_table_path(out)
        check_apart({"--out": out}, {"LABELS": labels, "MODEL": model, "--against": against})
    table, bad_rows = read_labels_or_refuse(
        labels, LabelColumns(photo_column, age_column, group_column), skip_bad_rows
    )
    models = [look_with(load_model(name), max_side) for name in (model, against) if name]
    for one in models:
        one.set_params(n_jobs=jobs, cache=cache, on_error="nan")
    with show_progress():
        found, *others = (_estimate(one, table) for one in models)
    for name, value in summarize_errors(found["true_age"], found["age"]).items():
        typer.echo(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    inside = found["true_age"].between(found["age_low"], found["age_high"])[found["status"] == "ok"]
    if inside.notna().any():
        typer.echo(f"inside their 90 % ranges: {inside.mean():.3f}")
    for other in others:
        people = None if group_column is None else table[group_column]
        _print_comparison(found, other, people, str(against))
        found.insert(found.columns.get_loc("age_high") + 1, "other_age", other["age"])
    if out is not None:
        with writing(out):
            replace_table(found, out)
    finish([*bad_rows, *failures(found)])


def _estimate(model: AgeEstimator, table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    batches = model.analyze_batches(table["photo"].tolist())
    found = pd.concat(map(advised, batches), ignore_index=True)
    # The main face of a photo comes first; a photo without a face has one row.
    found = found[found["face"].fillna(0) == 0].reset_index(drop=True)
    found.insert(1, "true_age", table["age"].to_numpy())
    return found


def _print_comparison(
    found: pd.DataFrame, other: pd.DataFrame, people: pd.Series | None, name: str
) -> None:
    from ageboost.evaluation.comparison import compare_models, describe_comparison

    if not (found["age"].notna() & other["age"].notna()).any():
        typer.echo(f"{name}: no photo has an age by both models")
        return
    compared = compare_models(found["true_age"], found["age"], other["age"], people)
    n_photos, n_people = compared[["photos", "people"]].iloc[0]
    of = f"{n_photos:,} photos" if people is None else f"{n_photos:,} photos of {n_people:,} people"
    first = "the first model"
    typer.echo(f"on the same {of}: {describe_comparison(compared, first, name)}")
    if compared.attrs["same"]:
        return
    typer.echo(f"{name}, less {first} (95 % interval):")
    for row in compared.itertuples():
        sure = "" if row.certain or row.low == row.high else ", which may be chance"
        typer.echo(
            f"  {row.metric}: {row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f}){sure}"
        )


@app.command()
def calibrate(
    model: ModelArgument,
    labels: LabelsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to save the calibrated model.")],
    max_side: MaxSideOption = None,
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    skip_bad_rows: SkipOption = False,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
    commercial: CommercialOption = False,
    own_photos: OwnPhotosOption = False,
) -> None:
    """Learn from photos of your own how far off a model's ages can be."""
    check_model_path(out, {"LABELS": labels})
    table, bad_rows = read_labels_or_refuse(
        labels, LabelColumns(photo_column, age_column), skip_bad_rows
    )
    estimator = look_with(load_model(model), max_side)
    estimator.set_params(n_jobs=jobs, cache=cache, on_error="nan")
    terms = terms_of_photos(table, labels, own_photos)
    _agree_on_terms(estimator, terms, commercial)
    with show_progress(), left_out_named_at_the_end():
        refuse_errors(
            lambda: estimator.calibrate(table["photo"].tolist(), table["age"], terms=terms)
        )
    with writing(out):
        estimator.save(out)
    n_photos = len(table) - len(estimator.left_out_)
    typer.echo(f"{out}: calibrated with {n_photos} photos")
    print_terms(out, estimator)
    finish([*bad_rows, *left_out(table, estimator.left_out_)])


@app.command()
def adapt(
    model: ModelArgument,
    labels: LabelsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to save the adapted model.")],
    group_column: Annotated[
        str | None,
        typer.Option(
            help="Column that says who is in each photo, to keep a person's photos together. "
            "By default subject, if there is one."
        ),
    ] = None,
    max_side: MaxSideOption = None,
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    skip_bad_rows: SkipOption = False,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
    commercial: CommercialOption = False,
    own_photos: OwnPhotosOption = False,
) -> None:
    """Adapt a model's ages and ranges to your own camera, with at least 25 labelled photos."""
    check_model_path(out, {"LABELS": labels})
    table, bad_rows = read_labels_or_refuse(
        labels, LabelColumns(photo_column, age_column, group_column), skip_bad_rows
    )
    named = group_column or ("subject" if "subject" in table else None)
    groups = None if named is None else table[named]
    estimator = look_with(load_model(model), max_side)
    estimator.set_params(n_jobs=jobs, cache=cache, on_error="nan")
    terms = terms_of_photos(table, labels, own_photos)
    _agree_on_terms(estimator, terms, commercial)
    with show_progress(), left_out_named_at_the_end():
        refuse_errors(
            lambda: estimator.adapt(table["photo"].tolist(), table["age"], groups, terms=terms)
        )
    with writing(out):
        estimator.save(out)
    correction = estimator.correction_
    assert correction is not None  # `adapt` has just set it
    typer.echo(f"{out}: adapted to {correction.n_photos_} photos")
    off = float(abs(correction.errors_).mean())
    typer.echo(f"correction: {correction}")
    typer.echo(f"ages are then off by {off:.2f} years on average in cross-validation")
    print_terms(out, estimator)
    finish([*bad_rows, *left_out(table, estimator.left_out_)])


@app.command()
def report(
    labels: LabelsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="A model to evaluate as well: a saved one, or accurate, fast, classical or open.",
        ),
    ] = None,
    photos: Annotated[
        bool, typer.Option(help="Show faces on the page, which then contains personal data.")
    ] = True,
    photo_column: PhotoColumnOption = None,
    age_column: AgeColumnOption = None,
    max_side: MaxSideOption = None,
    jobs: JobsOption = -1,
    cache: CacheOption = None,
) -> None:
    """Write a page about labelled photos: ages, quality, copies, doubtful labels, errors."""
    from ageboost.evaluation import make_report

    check_suffix(out, (".html", ".htm"), "the page")
    check_apart({"--out": out}, {"LABELS": labels, "--model": model})
    if max_side is not None and model is None:
        refuse("--max-side is that of a model: name it with --model")
    estimator = None if model is None else look_with(load_model(model), max_side)
    table, unusable = read_usable_labels(labels, LabelColumns(photo_column, age_column))
    with show_progress():
        made = refuse_errors(
            lambda: make_report(
                table,
                estimator,
                folder=labels if labels.is_dir() else labels.parent,
                unusable=unusable,
                photos=photos,
                cache=cache,
                n_jobs=jobs,
            )
        )
    with writing(out):
        made.save(out)
    typer.echo(f"{out}: {len(made.photos)} photos")
    finish([*name_rows(unusable), *failures(made.photos)])


def _agree_on_terms(estimator: AgeEstimator, terms: list[str | None], commercial: bool) -> None:
    """Settle whether a model stays one for a business with new photos on these terms."""
    if commercial:
        estimator.set_params(commercial=True)
    elif any(part.commercial == "no" for part in photo_terms(terms)):
        # It becomes a model for research then, and says so.
        estimator.set_params(commercial=False)
