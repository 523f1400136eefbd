"""What age groups buy: a made-up supermarket, whose secrets we know, and real ages' errors.

    python examples/what_age_groups_buy.py --out what_age_groups_buy.html

Each buyer gets an answer as far off as the model is expected to be at a new camera. With
``--photos LABELS`` (a CSV file, or the folder of a known data set) each gets a real photo of
somebody of that age instead, which is matched to the receipt by till and time, and looked at.
"""

import argparse
from pathlib import Path

import pandas as pd

import ageboost
from ageboost.datasets import Shop, make_shop, make_till_photos, read_labels
from ageboost.retail import (
    AgeGroups,
    estimate_buyers,
    make_retail_report,
    match_photos,
    purchases_by_age_group,
    simulate_buyers,
)

N_OFFERS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("what_age_groups_buy.html"))
    parser.add_argument("--photos", type=Path, help="labelled photos to take buyers from")
    parser.add_argument("--receipts", type=int, default=20_000)
    options = parser.parse_args()

    shop = make_shop(options.receipts, random_state=0)
    # The model that ships which a business may use.
    model = ageboost.load_pretrained("open")
    if options.photos is None:
        buyers = simulate_buyers(shop.truth, model, missing=0.02, random_state=0)
    else:
        photos = make_till_photos(shop, read_labels(options.photos), random_state=0)
        matched = match_photos(photos, shop.receipts)
        print(matched)
        buyers = estimate_buyers(matched, shop.receipts, model, n_jobs=-1)

    purchases = purchases_by_age_group(shop.lines, buyers, calibration=model.calibration_)
    print(purchases)
    truth = true_lifts(shop)
    for group in purchases.mix.index:
        low, high = purchases.mix_interval.loc[group]
        print(f"\n{group}: {low:.0%} to {high:.0%} of receipts")
        for offer in purchases.offers(group, N_OFFERS).to_dict("records"):
            print(
                f"  {offer['product']}: {offer['lift']:.1f} times as often "
                f"({offer['offer_low']:.1f} to {offer['offer_high']:.1f}); "
                f"in truth {truth.loc[offer['product'], group]:.1f}"
            )
    make_retail_report(shop.receipts, shop.lines, buyers, model).save(options.out)
    print(f"\n{options.out} shows all of it")


def true_lifts(shop: Shop) -> pd.DataFrame:
    """Compute from true ages how many times as often as all buyers a group buys each product."""
    groups = AgeGroups()
    group = pd.Series(groups.index(shop.truth["age"]), index=shop.truth["receipt_id"])
    bought = shop.lines.drop_duplicates(["receipt_id", "product"])
    counts = pd.crosstab(bought["product"], bought["receipt_id"].map(group))
    shares = counts / group.value_counts().sort_index()
    lifts = shares.div(counts.sum(axis=1) / len(group), axis=0)
    return lifts.set_axis(list(groups.names), axis=1)


if __name__ == "__main__":
    main()
