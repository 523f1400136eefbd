from .buyer_check import Answer, check, check_each
from .buyers import DEFAULT_AGES, buyers_from_distribution, estimate_buyers
from .cashiers import CashierReview, review_cashiers
from .counts import count_outcomes, describe_counts
from .customers import Customers, customers_by_age_group
from .groups import AgeGroups, probability_under
from .looks import ReviewPeriod
from .matching import MatchedPhotos, match_photos
from .outputs import write_table
from .policy import AlcoholPolicy
from .pseudonyms import pseudonymize
from .purchases import Purchases, purchases_by_age_group
from .report import RetailReport, make_retail_report
from .sales import AlcoholSales, alcohol_sales
from .simulation import simulate_buyers
from .tables import Query, ShopTables, need_columns, read_shop, read_table
from .threshold import ChallengeChoice, choose_challenge_age
from .tracks import MatchedTracks, buyers_from_tracks, match_tracks

__all__ = [
    "DEFAULT_AGES",
    "AgeGroups",
    "AlcoholPolicy",
    "AlcoholSales",
    "Answer",
    "CashierReview",
    "ChallengeChoice",
    "Customers",
    "MatchedPhotos",
    "MatchedTracks",
    "Purchases",
    "Query",
    "RetailReport",
    "ReviewPeriod",
    "ShopTables",
    "alcohol_sales",
    "buyers_from_distribution",
    "buyers_from_tracks",
    "check",
    "check_each",
    "choose_challenge_age",
    "count_outcomes",
    "customers_by_age_group",
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
    "write_table",
]
