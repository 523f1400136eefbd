"""The pictures of the guide: of one portrait, of a made-up shop, and of tables in docs/.

    python benchmarks/draw_guide.py [NAME ...]

Writes them to docs/images, or those that are named. The portrait is NASA's, of Eileen Collins, in
the public domain; it comes with scikit-image.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from skimage.data import astronaut

import ageboost
from ageboost.datasets import make_shop
from ageboost.evaluation import draw_ages, explain
from ageboost.faces import FaceFinder
from ageboost.retail import customers_by_age_group, purchases_by_age_group, simulate_buyers

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs/images"
SHADES = ("0.1", "0.4", "0.65", "0.85")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=list(PICTURES))
    mpl.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    for name in parser.parse_args().names:
        save(PICTURES[name](), IMAGES / f"{name}.png")
        print(name)


def save(drawn: Figure | Image.Image, path: Path) -> None:
    """Write a picture in few colours, so that a clone stays small."""
    if isinstance(drawn, Figure):
        buffer = io.BytesIO()
        drawn.savefig(buffer, dpi=130, facecolor="white")
        drawn = Image.open(buffer)
    drawn.convert("RGB").quantize(128, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


def table_of(page: str, header: str) -> pd.DataFrame:
    """Read the table of a page whose header begins with these words."""
    lines = (ROOT / page).read_text("utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(header))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip(" *`") for cell in line.strip("|").split("|")])
    return pd.DataFrame(rows[2:], columns=rows[0])


def new_axes(width: float = 7.5, height: float = 3.8):
    """Axes of a figure of its own."""
    return Figure(figsize=(width, height), layout="constrained").subplots()


def draw_demo() -> Image.Image:
    return draw_ages(astronaut(), ageboost.load_pretrained().analyze([astronaut()]))


def draw_why() -> Figure:
    return explain(ageboost.load_pretrained("fast"), astronaut()).draw()


def draw_models() -> Figure:
    table = table_of("README.md", "| model | for whom").set_index("model")
    sources = ["FG-NET", "London", "Congress"]
    ax = new_axes()
    for position, name in enumerate(table.index):
        errors = [float(table.loc[name, source].split()[0]) for source in sources]
        places = np.arange(len(sources)) + (position - 1.5) * 0.2
        ax.bar(places, errors, 0.2, color=SHADES[position], edgecolor="black", label=name)
    ax.set_xticks(range(len(sources)), sources)
    ax.set_ylabel("mean absolute error (years)")
    ax.legend(frameon=False)
    return ax.figure


def draw_faces() -> Figure:
    portrait = astronaut()[0:300, 60:400]
    covered = portrait.copy()
    covered[140:160, 140:190] = 128
    photos = [portrait, covered, 255 - portrait, (portrait * 0.1).astype(np.uint8)]
    titles = ["found", "covered", "negative", "dark"]
    [face] = FaceFinder().find(portrait)
    box = face.box
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    for ax, photo, title in zip(figure.subplots(1, 4), photos, titles, strict=True):
        ax.imshow(photo)
        ax.set_title(title, fontsize=11)
        ax.set_axis_off()
        if title == "found":
            corner = (box.left, box.top)
            size = (box.right - box.left, box.bottom - box.top)
            ax.add_patch(Rectangle(corner, *size, fill=False, color="white", linewidth=1.5))
            ax.plot(*face.landmarks.T, ".", color="white", markersize=2)
    return figure


def draw_ranges() -> Figure:
    distribution = ageboost.load_pretrained().predict_distribution([astronaut()])
    years = np.arange(0, 81)
    [believed] = np.diff(1 - distribution.over(np.arange(0, 82.0)), axis=1)
    low, high = distribution.interval(0.9)[0]
    [median] = distribution.quantiles([0.5])[0]
    ax = new_axes()
    inside = (years >= np.floor(low)) & (years <= high)
    colours = np.where(inside, "0.45", "0.85")
    ax.bar(years, 100 * believed, 1.0, align="edge", color=colours, edgecolor="white")
    ax.axvline(median, color="black", linewidth=1.5)
    ax.annotate(f"  median {median:.0f}", (median, 0.9 * ax.get_ylim()[1]), va="top")
    ax.set(xlabel="age (years)", ylabel="probability (%)")
    ax.set_title(f"dark: 90 % range, {low:.0f} to {high:.0f} years", fontsize=11)
    return ax.figure


def draw_adapt() -> Figure:
    table = table_of("docs/elsewhere.md", "| model | source | photos learnt from")
    ax = new_axes()
    for name, style in (("accurate", "o-"), ("open", "s--")):
        rows = table[(table["model"] == name) & (table["source"] == "fgnet")]
        photos = rows["photos learnt from"].astype(int)
        ax.plot(range(len(photos)), rows["MAE"].astype(float), style, color="black", label=name)
        ax.set_xticks(range(len(photos)), photos)
    ax.set(
        xlabel="photos of one's own", ylabel="mean absolute error, FG-NET (years)", ylim=(0, 4.5)
    )
    ax.legend(frameon=False, loc="lower left")
    return ax.figure


def draw_features() -> Figure:
    rows = pd.read_csv(ROOT / "docs/accuracy.csv")
    wanted = [
        ("none", "median age"),
        ("dlib's last layer, as most use it", "ridge"),
        ("classical", "kernels, mean of three"),
        ("public domain: classical, dlib, dlib-age", "kernels, mean of three"),
        ("fast", "kernels, mean of three"),
        ("accurate", "kernels, mean of three"),
    ]
    found = rows.set_index(["features", "label"])["MAE"]
    errors = [found[key] for key in wanted]
    labels = ["median age for everybody", "dlib's last layer, as most use it", "no network"]
    labels += ["networks in the public domain", "one small network (fast)", "all (accurate)"]
    ax = new_axes()
    ax.barh(labels[::-1], errors[::-1], color="0.5")
    for place, error in enumerate(errors[::-1]):
        ax.annotate(f" {error:.1f}", (error, place), va="center")
    ax.set_xlabel("mean absolute error at UTKFace (years)")
    return ax.figure


def draw_limits() -> Figure:
    table = table_of("docs/elsewhere.md", "| model | source | age | photos |")
    ages = ["0-12", "13-17", "18-24", "25-34", "35-44", "45-59", "60+"]
    ax = new_axes()
    for source, style, label in (("utkface", "o-", "UTKFace"), ("fgnet", "s--", "FG-NET")):
        rows = table[(table["model"] == "accurate, left out") & (table["source"] == source)]
        rows = rows.set_index("age")["bias"].reindex(ages).astype(float)
        ax.plot(ages, rows, style, color="black", label=label)
    ax.axhline(0, color="0.6", linewidth=1)
    ax.set(xlabel="true age (years)", ylabel="estimated too high by (years)")
    ax.legend(frameon=False)
    return ax.figure


def made_up_shop(n_receipts: int):
    """A made-up shop, and what `open` would say of its buyers."""
    shop = make_shop(n_receipts, random_state=0)
    model = ageboost.load_pretrained("open")
    return shop, simulate_buyers(shop.truth, model, random_state=0), model.calibration_


def draw_shop() -> Figure:
    shop, buyers, calibration = made_up_shop(5000)
    bought = purchases_by_age_group(shop.lines, buyers, calibration=calibration)
    figure = Figure(figsize=(8.5, 6), layout="constrained")
    bought.plot_heatmap(15, ax=figure.subplots())
    return figure


def draw_customers() -> Figure:
    shop, buyers, calibration = made_up_shop(5000)
    customers = customers_by_age_group(shop.receipts, buyers, by=["hour"], calibration=calibration)
    figure = Figure(figsize=(8.5, 4.5), layout="constrained")
    customers.plot(ax=figure.subplots())
    return figure


PICTURES = {
    name.removeprefix("draw_"): draw
    for name, draw in list(globals().items())
    if name.startswith("draw_") and name != "draw_ages"
}


if __name__ == "__main__":
    main()
