"""What a search found: the best settings, its trials, and figures of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from ageboost._notebook import ShownInNotebooks
from ageboost._pages.figures import import_figure
from ageboost.errors import PhotoError
from ageboost.models.estimator import AgeEstimator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TuningResult"]


@dataclass(repr=False)
class TuningResult(ShownInNotebooks):
    """What a search found.

    Attributes
    ----------
    estimator : AgeEstimator
        The one whose settings were searched, not fitted.
    best_params : dict of str to object
        For ``AgeEstimator.set_params``.
    best_score : float
        Their mean absolute error in years, over all folds.
    trials : DataFrame
        One row per trial: ``trial`` (its number), ``state`` (``"complete"``, ``"pruned"`` or
        ``"failed"``), ``score`` (mean absolute error in years, over all folds; NaN if it did not
        finish them), ``folds`` (how many it finished), ``seconds``, and a column for each
        parameter.
    importances : Series
        How much of the differences between scores each parameter explains; they sum to 1. Empty
        if there are too few trials.
    left_out : list of (int, PhotoError)
        Position and fault of each photo that gave no face in this call.
    interrupted : bool
        Whether the search was stopped by an interrupt from the keyboard.
    """

    estimator: AgeEstimator
    best_params: dict[str, Any]
    best_score: float
    trials: pd.DataFrame
    importances: pd.Series
    left_out: list[tuple[int, PhotoError]] = field(default_factory=list)
    interrupted: bool = False

    def __str__(self) -> str:
        chosen = ", ".join(f"{name}={value}" for name, value in self.best_params.items())
        return f"{self.best_score:.2f} years (MAE), the best of {len(self.trials)} trials: {chosen}"

    def _table_to_show(self) -> pd.DataFrame:
        return self.trials.sort_values("score").reset_index(drop=True)

    def best_estimator(self) -> AgeEstimator:
        """Make an estimator with the best settings, to be fitted.

        Returns
        -------
        AgeEstimator
        """
        return clone(self.estimator).set_params(**self.best_params)

    def plot(self) -> Figure:
        """Draw how the search went, and which parameters mattered.

        Returns
        -------
        matplotlib.figure.Figure
            ``figure.savefig("tuning.png")`` writes it.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        figure = import_figure("tune")(figsize=(10, 4), layout="constrained")
        history, importance = figure.subplots(1, 2)
        self._draw_history(history)
        self._draw_importances(importance)
        return figure

    def _draw_history(self, axes: Any) -> None:
        complete = self.trials[self.trials["state"] == "complete"]
        pruned = self.trials[self.trials["state"] == "pruned"]
        # Distinguished by shape and dashes, so that it can be read without colours.
        axes.plot(complete["trial"], complete["score"], "o", color="black", label="complete")
        # Folds differ in how hard they are, so the error over some stands for no height here.
        axes.plot(
            pruned["trial"],
            np.full(len(pruned), 0.98),
            "x",
            color="grey",
            transform=axes.get_xaxis_transform(),
            label="given up before the last fold",
        )
        axes.step(
            complete["trial"],
            complete["score"].cummin(),
            "--",
            color="black",
            where="post",
            label="best so far",
        )
        axes.set(
            xlabel="trial",
            ylabel="mean absolute error (years)",
            title=f"Best: {self.best_score:.2f} years",
        )
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()

    def _draw_importances(self, axes: Any) -> None:
        shares = 100 * self.importances.sort_values()
        axes.barh(shares.index, shares, color="lightgrey", edgecolor="black")
        axes.set(xlabel="share of the differences explained (%)", title="What mattered")
        if shares.empty:
            axes.text(0.5, 0.5, "too few trials to say", ha="center", transform=axes.transAxes)
