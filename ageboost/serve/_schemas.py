"""What goes in and out of the service, as its OpenAPI document has it."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ageboost.serve.record import REFUSALS

__all__ = [
    "About",
    "Analysis",
    "CheckAnswer",
    "CheckQuery",
    "Explanation",
    "FoundFace",
    "Health",
    "ModelVersion",
    "Outcome",
    "Period",
    "PolicyAges",
    "Problem",
    "RecordedRefusal",
    "RefusalsRegister",
]

# No control characters, which some databases refuse and no till needs.
Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]
Years = Annotated[float, Field(gt=0, lt=120)]


def _written_as_day(value: Any) -> Any:
    """Refuse what Pydantic takes for a day beyond the document, such as seconds since 1970."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        raise ValueError("write a day as 2026-03-31")
    return value


Day = Annotated[date, BeforeValidator(_written_as_day)]


class ModelVersion(BaseModel):
    """Which model an answer is of; the version is the fingerprint of its calibration."""

    name: str
    version: str


class PolicyAges(BaseModel):
    """The rule that an answer follows."""

    legal_age: float
    challenge_age: float
    certainty: float | None


class CheckQuery(BaseModel):
    """Who asks, and perhaps by which rule."""

    model_config = ConfigDict(extra="forbid")

    till: Name | None = Field(None, description="Of the record.")
    cashier: Name | None = Field(None, description="Of the record: a number is enough.")
    legal_age: Years | None = Field(None, description="Years, unless the policy is fixed.")
    challenge_age: Years | None = Field(None, description="Years, unless the policy is fixed.")
    certainty: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Ask by probability of legal age below this, not by challenge age."
    )


class CheckAnswer(BaseModel):
    """Advice to a cashier, who sees the buyer."""

    id: UUID | None = Field(description="Number of the check in the record, if it was recorded.")
    answer: Literal["sell", "ask", "cannot tell"]
    reason: str
    faces: int
    age: float | None = Field(description="Years.")
    age_low: float | None = Field(description="Years: the true age is in the range 9 times in 10.")
    age_high: float | None
    under_legal: float | None = Field(description="Probability of being under the legal age.")
    under_challenge: float | None
    familiarity: float | None = Field(
        description="Share of photos that the model knows which look at least as unusual."
    )
    status: Literal["ok", "no face"]
    model: ModelVersion
    policy: PolicyAges


class FoundFace(BaseModel):
    """One face; places are pixels of the upright photo."""

    face: int
    left: float
    top: float
    width: float
    height: float
    age: float
    age_low: float | None
    age_high: float | None
    quality: float
    reliable: bool | None
    familiarity: float | None
    message: str


class Analysis(BaseModel):
    """Every face of a photo, the main one first."""

    faces: list[FoundFace]
    message: str = Field(description="Why there is no face; empty if there is one.")
    model: ModelVersion


class Explanation(BaseModel):
    """Why the model says an age, for the main face; base value and regions add up to it."""

    prediction: float = Field(description="Years.")
    base_value: float = Field(description="Years that the model says knowing nothing of the face.")
    regions: dict[str, float] = Field(description="Years that each part of the face adds.")
    picture: str = Field(description="A map of them on the face: a PNG file in base64.")
    model: ModelVersion


class Outcome(BaseModel):
    """What was done after a check."""

    model_config = ConfigDict(extra="forbid")

    asked: bool = Field(description="Whether a card was asked for.", strict=True)
    sold: bool = Field(
        description="Whether the goods were sold; if not, it is a refusal.", strict=True
    )
    refusal: Literal[REFUSALS] | None = Field(None, description="Why nothing was sold.")  # type: ignore[valid-type]
    goods: Name | None = Field(None, description="What was to be bought.")

    @model_validator(mode="after")
    def _no_reason_for_a_sale(self) -> Outcome:
        if self.sold and self.refusal is not None:
            raise ValueError("refusal is for what was not sold")
        return self


class Period(BaseModel):
    """Days by the clock of the machine that the service runs on."""

    model_config = ConfigDict(extra="forbid")

    since: Day | None = Field(None, description="First day.")
    until: Day | None = Field(None, description="Last day.")


class RecordedRefusal(BaseModel):
    """A line of the refusals register."""

    time: datetime
    till: str | None
    cashier: str | None
    goods: str | None
    asked: bool
    refusal: str | None
    answer: str


class RefusalsRegister(BaseModel):
    """When and why nothing was sold, and how many checks there were."""

    counts: dict[str, int]
    refusals: list[RecordedRefusal]


class About(BaseModel):
    """What the service is set to, and what it keeps."""

    version: str
    model: ModelVersion
    terms: str
    policy: PolicyAges
    policy_fixed: bool
    recorded: bool
    keep_days: int | None
    max_bytes: int
    max_pixels: int
    timeout: float


class Health(BaseModel):
    """Whether the service answers."""

    status: Literal["ok", "busy", "record cannot be written"]


class Problem(BaseModel):
    """Why there is no answer. At the till that means the same as "cannot tell"."""

    detail: str
