"""Whether alcohol is sold with care: a made-up supermarket with a cashier who does not ask minors.

    python examples/alcohol_checks.py --out alcohol_checks.html

Each buyer gets an answer as far off as the model is expected to be at a new camera. With
``--photos LABELS`` (a CSV file, or the folder of a known data set) each gets a real photo of
somebody of that age instead, which is matched to the receipt by till and time, and looked at.
"""

import argparse
from pathlib import Path

import ageboost
from ageboost.datasets import make_shop, make_till_photos, read_labels
from ageboost.retail import (
    AlcoholPolicy,
    alcohol_sales,
    estimate_buyers,
    make_retail_report,
    match_photos,
    review_cashiers,
    simulate_buyers,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("alcohol_checks.html"))
    parser.add_argument("--photos", type=Path, help="labelled photos to take buyers from")
    parser.add_argument("--receipts", type=int, default=200_000)
    options = parser.parse_args()

    shop = make_shop(options.receipts, n_cashiers=10, random_state=0)
    policy = AlcoholPolicy(categories=["beer", "wine", "spirits"])
    # The model that ships which a business may use.
    model = ageboost.load_pretrained("open")
    if options.photos is None:
        buyers = simulate_buyers(shop.truth, model, missing=0.02, random_state=0)
    else:
        photos = make_till_photos(shop, read_labels(options.photos), random_state=0)
        matched = match_photos(photos, shop.receipts)
        print(matched)
        buyers = estimate_buyers(matched, shop.receipts, model, n_jobs=-1)

    sales = alcohol_sales(shop.receipts, shop.lines, buyers, policy)
    review = review_cashiers(sales, policy, model)
    print(review)

    sold = sales.table.merge(shop.truth.rename(columns={"age": "true_age"}), on="receipt_id")
    unchecked = sold[(sold["true_age"] < policy.legal_age) & ~sold["id_checked"]]
    print("\nWhat nobody knows of a real shop: sales to minors without a check, by cashier")
    print(unchecked["cashier"].value_counts().to_string())

    report = make_retail_report(
        shop.receipts, shop.lines, buyers, model, policy=policy, title="Our shop, and alcohol"
    )
    report.save(options.out)
    print(f"\n{options.out} shows all of it")


if __name__ == "__main__":
    main()
