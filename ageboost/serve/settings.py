"""What a service is set to: its policy, its token and its limits."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

import pandas as pd

from ageboost.retail import AlcoholPolicy
from ageboost.retail._till_ages import check_age_weights

__all__ = ["TOKEN_VARIABLE", "ServiceSettings", "is_loopback"]

TOKEN_VARIABLE = "AGEBOOST_TOKEN"
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ServiceSettings:
    """What a service is set to.

    Parameters
    ----------
    policy : AlcoholPolicy, optional
        The rule for every check. By default each call may name its own ages.
    token : str, optional
        16 characters or more, which every call must then bring: ``Authorization: Bearer TOKEN``.
    workers : int, optional
        How many photos are looked at at once; by default one for each core.
    waiting : int, default=32
        How many more requests may be under way. Who comes beyond that gets a 503.
    per_client : int, default=16
        How many requests of one address may be under way. Who sends more gets a 429.
    timeout : float, default=10.0
        Seconds that a photo may take to arrive, and then to be answered.
    max_bytes : int, default=12_000_000
        Of a photo's file.
    max_pixels : int, default=50_000_000
        Of a photo.
    age_weights : Series, optional
        How many people of each age come to the till, as for :func:`ageboost.retail.check`: for a
        policy that goes by a certainty.

    Raises
    ------
    ValueError
        If a limit makes no sense, the token is too short, the policy asks for no probability that
        ``age_weights`` could change, or that has no minors or no adults.

    Examples
    --------
    >>> from ageboost.serve import ServiceSettings
    >>> ServiceSettings(timeout=5).waiting
    32
    """

    policy: AlcoholPolicy | None = None
    token: str | None = field(default=None, repr=False)
    workers: int | None = None
    waiting: int = 32
    per_client: int = 16
    timeout: float = 10.0
    max_bytes: int = 12_000_000
    max_pixels: int = 50_000_000
    age_weights: pd.Series | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("workers", "per_client", "max_bytes", "max_pixels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value!r}: pass 1 or more")
        if self.waiting < 0:
            raise ValueError(f"waiting={self.waiting!r}: pass 0 or more")
        if not 0 < self.timeout <= 600:
            raise ValueError(f"timeout={self.timeout!r}: pass seconds, up to 600")
        if self.age_weights is not None:
            if self.policy is None or self.policy.certainty is None:
                raise ValueError(
                    "age_weights changes probabilities, and a rule by age alone does not ask for "
                    "them: pass a policy with a certainty as well"
                )
            check_age_weights(self.age_weights, [self.policy.legal_age, self.policy.challenge_age])
        if self.token is not None and (
            len(self.token) < _SHORTEST_TOKEN or not self.token.isascii() or " " in self.token
        ):
            raise ValueError(
                f"the token must be {_SHORTEST_TOKEN} ASCII characters or more, without spaces: "
                "make one with python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine alone.

    Parameters
    ----------
    host : str
        An address or a name.

    Returns
    -------
    bool

    Examples
    --------
    >>> from ageboost.serve.settings import is_loopback
    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "till.shop")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
