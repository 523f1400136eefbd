"""What was checked at the till and what was done then, as rows of a database."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd
import sqlalchemy as sql

from ageboost.errors import AgeboostError
from ageboost.retail import AlcoholPolicy, AlcoholSales, Answer, count_outcomes
from ageboost.retail._origin import origin_of

__all__ = ["REFUSALS", "CheckRecord", "OutcomeError", "RecordError", "policy_version"]

# Why nothing was sold. No free text: it would soon hold what people look like.
REFUSALS = ("no card", "under age", "card not accepted", "bought for a minor", "other")
# No check is from before or after, and not every clock knows days that are.
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)
_OF_OUTCOME = ("asked", "sold", "refusal", "goods")

_CHECKS = sql.Table(
    "ageboost_checks",
    sql.MetaData(),
    sql.Column("id", sql.Uuid, primary_key=True),
    # UTC.
    sql.Column("time", sql.DateTime, nullable=False, index=True),
    sql.Column("till", sql.String(60)),
    sql.Column("cashier", sql.String(60)),
    sql.Column("answer", sql.String(12), nullable=False),
    sql.Column("under_legal", sql.Double),
    sql.Column("under_challenge", sql.Double),
    sql.Column("asked", sql.Boolean),
    sql.Column("sold", sql.Boolean),
    sql.Column("refusal", sql.String(20)),
    sql.Column("goods", sql.String(60)),
    sql.Column("model", sql.String(60), nullable=False),
    sql.Column("model_version", sql.String(20), nullable=False),
    sql.Column("policy", sql.String(60), nullable=False),
)


class RecordError(AgeboostError, OSError):
    """The database of a record cannot be used; the message says why, without its address."""


class OutcomeError(AgeboostError, ValueError):
    """What was done after a check cannot be recorded: something else was already."""


class CheckRecord:
    """A record of checks in a database: no photo, no age, nothing about who the buyer was.

    A row says when, at which till and by which cashier, what the answer was and by which model and
    policy; how probable it was that the buyer was under the policy's two ages, which
    :func:`ageboost.retail.review_cashiers` needs; and, once :meth:`finish` is called, whether a
    card was asked for and whether anything was sold. A row is written at once or not at all, and
    what was done is written once.

    Parameters
    ----------
    url : str
        Of a database, as SQLAlchemy has it: ``"sqlite:///checks.db"``.
    keep_days : int, default=365
        How old rows become before :meth:`delete_old` deletes them.

    Raises
    ------
    RecordError
        If the database cannot be opened.
    ValueError
        If ``keep_days`` is less than 1.

    Examples
    --------
    >>> import os, tempfile
    >>> from ageboost.retail import AlcoholPolicy, Answer
    >>> from ageboost.serve import CheckRecord
    >>> policy = AlcoholPolicy()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     record = CheckRecord(f"sqlite:///{folder}/checks.db")
    ...     number = record.add(Answer("ask", "looks young"), policy, "fast", "0", till="3")
    ...     record.finish(number, asked=True, sold=False, refusal="no card")
    ...     refusals = record.refusals()
    ...     record.close()
    >>> refusals[["till", "answer", "refusal"]]
      till answer  refusal
    0    3    ask  no card
    """

    def __init__(self, url: str, keep_days: int = 365):
        if keep_days < 1:
            raise ValueError(f"keep_days={keep_days!r}: pass 1 or more")
        self.keep_days = keep_days
        try:
            address = sql.make_url(url)
        except sql.exc.ArgumentError:
            raise RecordError(
                "the record's address is none of a database: write it as sqlite:///checks.db"
            ) from None
        try:
            self._engine = sql.create_engine(address)
            if address.get_backend_name() == "sqlite":
                sql.event.listen(self._engine, "connect", _set_up_sqlite)
            _CHECKS.metadata.create_all(self._engine)
        except ImportError as error:
            raise RecordError(
                f"no driver for {address.get_backend_name()}: install {error.name}"
            ) from error
        except sql.exc.SQLAlchemyError as error:
            raise RecordError(f"the record cannot be opened: {_reason(error)}") from error

    def add(
        self,
        answer: Answer,
        policy: AlcoholPolicy,
        model: str,
        model_version: str,
        *,
        till: str | None = None,
        cashier: str | None = None,
        when: datetime | None = None,
    ) -> uuid.UUID:
        """Write down a check.

        Parameters
        ----------
        answer : Answer
            Of :func:`ageboost.retail.check`.
        policy : AlcoholPolicy
        model : str
            Its name.
        model_version : str
            The fingerprint of its calibration.
        till, cashier : str, optional
            At most 60 characters.
        when : datetime, optional
            With its time zone. By default, now.

        Returns
        -------
        uuid.UUID
            The number of the check, for :meth:`finish`.

        Raises
        ------
        RecordError
            If it cannot be written.
        """
        number = uuid.uuid4()
        moment = datetime.now(UTC) if when is None else when.astimezone(UTC)
        row = {
            "id": number,
            "time": moment.replace(tzinfo=None),
            "till": till,
            "cashier": cashier,
            "answer": answer.answer,
            "under_legal": answer.under_legal,
            "under_challenge": answer.under_challenge,
            "model": model,
            "model_version": model_version,
            "policy": policy_version(policy),
        }
        self._execute(_CHECKS.insert().values(row))
        return number

    def finish(
        self,
        number: uuid.UUID,
        *,
        asked: bool,
        sold: bool,
        refusal: str | None = None,
        goods: str | None = None,
    ) -> None:
        """Write down what was done after a check.

        Parameters
        ----------
        number : uuid.UUID
            Of the check.
        asked : bool
            Whether a card was asked for.
        sold : bool
            Whether the goods were sold. If not, that is a refusal.
        refusal : str, optional
            Why not: one of ``ageboost.serve.record.REFUSALS``.
        goods : str, optional
            What was to be bought, at most 60 characters.

        Raises
        ------
        LookupError
            If there is no such check.
        OutcomeError
            If something else was written down before.
        ValueError
            If it is no reason, or goods that were sold have one.
        RecordError
            If it cannot be written.
        """
        if refusal is not None and (sold or refusal not in REFUSALS):
            raise ValueError(
                f"refusal={refusal!r}: pass one of {', '.join(REFUSALS)}, where nothing was sold"
            )
        done = {"asked": asked, "sold": sold, "refusal": refusal, "goods": goods}
        this = _CHECKS.c.id == number
        # One statement, so that of two tills that report at once the first is believed.
        if self._execute(
            _CHECKS.update().where(this, _CHECKS.c.sold.is_(None)).values(done)
        ).rowcount:
            return
        found = self._read(sql.select(*(_CHECKS.c[name] for name in _OF_OUTCOME)).where(this))
        if not found:
            raise LookupError("there is no check of this number")
        if found[0] != done:
            raise OutcomeError("something else was recorded for this check before")

    def refusals(self, since: date | None = None, until: date | None = None) -> pd.DataFrame:
        """Read the refusals register: one row for each time that nothing was sold.

        Parameters
        ----------
        since, until : date, optional
            First and last day, by this machine's clock.

        Returns
        -------
        DataFrame
            ``time`` (this machine's local time), ``till``, ``cashier``, ``goods``, ``asked``,
            ``refusal`` (why), ``answer`` (of the check), the earliest first.
        """
        columns = ["time", "till", "cashier", "goods", "asked", "refusal", "answer"]
        rows = self._read(
            sql.select(*(_CHECKS.c[name] for name in columns))
            .where(_CHECKS.c.sold.is_(False), *_period(since, until))
            .order_by(_CHECKS.c.time, _CHECKS.c.id)
        )
        return _as_table(rows, columns)

    def counts(self, since: date | None = None, until: date | None = None) -> dict[str, int]:
        """Count checks by what was answered and done.

        Parameters
        ----------
        since, until : date, optional
            First and last day, by this machine's clock.

        Returns
        -------
        dict of str to int
            ``checks``, ``answered_ask``, ``asked``, ``sold``, ``refused``.
        """
        of = _CHECKS.c
        counted = {
            "checks": sql.true(),
            "answered_ask": of.answer == "ask",
            "asked": of.asked.is_(True),
            "sold": of.sold.is_(True),
            "refused": of.sold.is_(False),
        }
        sums = [
            sql.func.coalesce(sql.func.sum(sql.case((condition, 1), else_=0)), 0).label(name)
            for name, condition in counted.items()
        ]
        [row] = self._read(sql.select(*sums).where(*_period(since, until)))
        return {name: int(number) for name, number in row.items()}

    def sales(
        self, policy: AlcoholPolicy, since: date | None = None, until: date | None = None
    ) -> AlcoholSales:
        """Read the checks that :func:`ageboost.retail.review_cashiers` compares.

        Rows whose outcome was not recorded are among them, as sales for which it is not known
        whether a card was asked for. A refusal counts as asked for: no minor got anything.

        Parameters
        ----------
        policy : AlcoholPolicy
            Checks by another one are left out.
        since, until : date, optional
            First and last day, by this machine's clock.

        Returns
        -------
        AlcoholSales
            Its table has no ages, only probabilities. Nothing is known of the camera, nor of which
            customers came again.

        Raises
        ------
        RetailDataError
            If the checks are of several models.
        """
        columns = ["time", "till", "cashier", "answer", "under_legal", "under_challenge"]
        columns += ["asked", "sold", "model_version"]
        rows = self._read(
            sql.select(*(_CHECKS.c[name] for name in columns))
            .where(_CHECKS.c.policy == policy_version(policy), *_period(since, until))
            .order_by(_CHECKS.c.time, _CHECKS.c.id)
        )
        table = _as_table(rows, columns).astype({"under_legal": float, "under_challenge": float})
        asked, sold = table.pop("asked"), table.pop("sold")
        table = table.rename(columns={"answer": "required", "model_version": "calibration"})
        table["id_checked"] = asked | ~sold
        outcomes = {
            "asked for a card, or refused": int((table["id_checked"] == True).sum()),  # noqa: E712
            "not asked": int((table["id_checked"] == False).sum()),  # noqa: E712
            "not recorded": int(table["id_checked"].isna().sum()),
        }
        origin = origin_of(table)
        counts = count_outcomes("checks", outcomes)
        return AlcoholSales(table.drop(columns="calibration"), counts, origin)

    def delete_old(self, now: datetime | None = None) -> int:
        """Delete the rows that are older than they may become.

        Parameters
        ----------
        now : datetime, optional
            With its time zone.

        Returns
        -------
        int
            How many.
        """
        moment = datetime.now(UTC) if now is None else now.astimezone(UTC)
        oldest = moment.replace(tzinfo=None) - timedelta(days=self.keep_days)
        return self._execute(_CHECKS.delete().where(_CHECKS.c.time < oldest)).rowcount

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _execute(self, statement: Any) -> Any:
        try:
            with self._engine.begin() as connection:
                return connection.execute(statement)
        except sql.exc.SQLAlchemyError as error:
            raise RecordError(f"the record cannot be written: {_reason(error)}") from error

    def _read(self, statement: Any) -> list[dict[str, Any]]:
        try:
            with self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(statement).mappings()]
        except sql.exc.SQLAlchemyError as error:
            raise RecordError(f"the record cannot be read: {_reason(error)}") from error


def policy_version(policy: AlcoholPolicy) -> str:
    """Name the rule of a policy, so that rows by different ones are told apart.

    Parameters
    ----------
    policy : AlcoholPolicy

    Returns
    -------
    str

    Examples
    --------
    >>> from ageboost.retail import AlcoholPolicy
    >>> from ageboost.serve.record import policy_version
    >>> policy_version(AlcoholPolicy())
    'legal age 18, challenge age 25'
    """
    rule = f"legal age {policy.legal_age:g}, challenge age {policy.challenge_age:g}"
    return rule if policy.certainty is None else f"{rule}, certainty {policy.certainty:g}"


def _set_up_sqlite(connection: Any, _: Any) -> None:
    # Who reads does not keep who writes waiting, and a row that was confirmed is on the disk.
    for setting in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {setting}")


def _reason(error: sql.exc.SQLAlchemyError) -> str:
    """Say what a database complains of, without the statement, its values and its address."""
    cause = getattr(error, "orig", None)
    return type(error if cause is None else cause).__name__


def _period(since: date | None, until: date | None) -> list[Any]:
    """Conditions on the time, from days by this machine's clock."""
    conditions = []
    if since is not None:
        conditions.append(_CHECKS.c.time >= _start_of(min(since, _LAST_DAY)))
    if until is not None:
        conditions.append(_CHECKS.c.time < _start_of(min(until, _LAST_DAY) + timedelta(days=1)))
    return conditions


def _start_of(day: date) -> datetime:
    return datetime.combine(max(day, _FIRST_DAY), time()).astimezone(UTC).replace(tzinfo=None)


def _as_table(rows: Sequence[Mapping[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Make a table whose times are those of this machine's clock."""
    table = pd.DataFrame(rows, columns=columns)
    here = [row["time"].replace(tzinfo=UTC).astimezone().replace(tzinfo=None) for row in rows]
    table["time"] = pd.Series(here, dtype="datetime64[us]")
    kinds = dict.fromkeys(("till", "cashier", "goods", "refusal"), "str")
    kinds |= dict.fromkeys(("asked", "sold"), "boolean")
    return table.astype({name: kind for name, kind in kinds.items() if name in table})
