"""The two jobs of the shop: what each age group buys, and whether alcohol is sold to minors."""

from typing import TYPE_CHECKING

from ageboost._lazy import import_when_used

if TYPE_CHECKING:
    from ageboost.retail.buyers import DEFAULT_AGES, buyers_from_distribution, estimate_buyers
    from ageboost.retail.cashiers import CashierReview, review_cashiers
    from ageboost.retail.check import Answer, check
    from ageboost.retail.counts import count_outcomes, describe_counts
    from ageboost.retail.groups import AgeGroups, probability_under
    from ageboost.retail.looks import ReviewPeriod
    from ageboost.retail.matching import MatchedPhotos, match_photos
    from ageboost.retail.policy import AlcoholPolicy
    from ageboost.retail.pseudonyms import pseudonymize
    from ageboost.retail.purchases import Purchases, purchases_by_age_group
    from ageboost.retail.report import RetailReport, make_retail_report
    from ageboost.retail.sales import AlcoholSales, alcohol_sales
    from ageboost.retail.simulation import simulate_buyers
    from ageboost.retail.tables import ShopTables, need_columns, read_shop, read_table
    from ageboost.retail.threshold import ChallengeChoice, choose_challenge_age
    from ageboost.retail.tracks import MatchedTracks, buyers_from_tracks, match_tracks

__all__ = [
    "DEFAULT_AGES",
    "AgeGroups",
    "AlcoholPolicy",
    "AlcoholSales",
    "Answer",
    "CashierReview",
    "ChallengeChoice",
    "MatchedPhotos",
    "MatchedTracks",
    "Purchases",
    "RetailReport",
    "ReviewPeriod",
    "ShopTables",
    "alcohol_sales",
    "buyers_from_distribution",
    "buyers_from_tracks",
    "check",
    "choose_challenge_age",
    "count_outcomes",
    "describe_counts",
    "estimate_buyers",
    "make_retail_report",
    "match_photos",
    "match_tracks",
    "need_columns",
    "probability_under",
    "pseudonymize",
    "purchases_by_age_group",
    "read_shop",
    "read_table",
    "review_cashiers",
    "simulate_buyers",
]

import_when_used(__name__)
