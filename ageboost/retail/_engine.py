"""Sums over receipts, computed where the lines are: by DuckDB, or by a shop's own database.

Expressions are those of Ibis, which writes them in the dialect of the engine; what comes back is no
larger than a few numbers for each thing. Statistics stay in Python. All that knows of Ibis is here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ageboost._tables.cells import read_names
from ageboost._tables.database import Query
from ageboost._tables.session import open_session
from ageboost.errors import RetailDataError
from ageboost.retail._answers import Answers, number_answers
from ageboost.retail._engine_tables import Engine, alike, as_number, import_ibis, like
from ageboost.retail._joins import check_join
from ageboost.retail._net_lines import LEAST_PIECES, NO_THING, list_uses
from ageboost.retail._origin import origin_of
from ageboost.retail._places import is_beside, needed_columns, select_from, with_customers
from ageboost.retail._repeated import repeated_rows
from ageboost.retail._who_bought import WhoBought
from ageboost.retail.groups import AgeGroups
from ageboost.retail.tables import (
    Source,
    as_retail_error,
    need_columns,
    read_table,
)

__all__ = ["sums_in_engine"]

_MEMORY = "2500MB"
_NOBODY, _NO_AGE = -1, -1
_NUMBERS = ("quantity", "price")
_KINDS = ("sold", "brought back", "of no pieces", "without a quantity, taken as one piece")

Array = npt.NDArray[np.float64]


@contextmanager
def sums_in_engine(
    lines: Source,
    buyers: Source,
    groups: AgeGroups,
    by: str,
    customers: WhoBought,
) -> Iterator[SumsInEngine]:
    """Let an engine sum up what is counted.

    Parameters
    ----------
    lines : Query or path
        Of which :func:`is_in_place` holds.
    buyers : Source
        Where it is not in the same engine, it is read, and sent there as a temporary table.
    groups : AgeGroups
    by : {"product", "category"}
    customers : array-like of shape (n_buyers,), table of receipts or str, optional
        As for :func:`purchases_by_age_group`.

    Yields
    ------
    SumsInEngine
        As :func:`sum_in_memory` gives them, as long as the engine is there.

    Raises
    ------
    RetailDataError
        As :func:`purchases_by_age_group`.
    ImportError
        If Ibis or DuckDB is not installed.
    """
    import_ibis()
    with as_retail_error(), ExitStack() as stack:
        if isinstance(lines, Query):
            session = stack.enter_context(open_session(lines.connection))
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            settings = {"memory_limit": _MEMORY, "temp_directory": folder}
            session = stack.enter_context(open_session("duckdb://", settings))
        engine = Engine(session)
        given = engine.table("lines", select_from(lines))
        if isinstance(customers, str) or customers is None:
            column = customers
        else:
            column, buyers = "customer", with_customers(buyers, customers)
        if is_beside(buyers, lines):
            people = engine.table("buyers", select_from(buyers))
        else:
            people = engine.send(
                "buyers_given", needed_columns(read_table(buyers, "buyers"), groups, column)
            )
        yield _Counting(engine, given, people, groups, by, column).sum_up()


@dataclass
class _Counting:
    """One pass over lines and buyers, and what it leaves to be asked."""

    engine: Engine
    lines: Any
    buyers: Any
    groups: AgeGroups
    by: str
    customer: str | None

    def sum_up(self) -> SumsInEngine:
        need_columns(self.lines, [self.by], "lines")
        self._check_buyers()
        values, known, fates = self._find_answers()
        names, things = self._number(self.lines[self.by], "things")
        customers: list[str] = []
        numbers = None
        if self.customer is not None:
            customers, numbers = self._number(self.buyers[self.customer], "customers")
        people = self._keep_people(known, len(values), numbers)
        cells = self._keep_cells(people, names, things)
        receipts = self._count_receipts(people)
        alone = receipts[receipts["customer"] < 0]
        named = receipts[receipts["customer"] >= 0]
        shape = (len(values), len(customers))
        table = sparse.csr_array(
            (named["n"].to_numpy(float), (named["answer"], named["customer"])), shape=shape
        )
        single = np.bincount(alone["answer"], alone["n"], len(values)).astype(np.float64)
        # Answers about buyers without lines, and customers without receipts, are none.
        there = single + np.asarray(table.sum(axis=1)).ravel() > 0
        came = np.asarray(table.sum(axis=0)).ravel() > 0
        answers = Answers(values[there, 1:], values[there, 0], single[there], table[there][:, came])
        return SumsInEngine(
            self.engine,
            cells,
            names,
            answers,
            np.flatnonzero(there),
            np.flatnonzero(came),
            self._list_uses(cells, fates, int(answers.counts.sum())),
            self._origin(),
        )

    def _check_buyers(self) -> None:
        each = self.buyers.group_by("receipt_id").aggregate(rows=self.buyers.count())
        counted = self.engine.fetch(
            each.aggregate(
                rows=each.rows.sum(),
                ids=each.count(),
                empty=each.count(where=each.receipt_id.isnull()),
            )
        ).iloc[0]
        if counted["empty"]:
            raise RetailDataError("receipt_id is empty in some rows of buyers: leave them out")
        if counted["ids"] and counted["rows"] > counted["ids"]:
            again = self.engine.fetch(each.filter(each.rows > 1).limit(1))
            n_rows, n_ids = int(counted["rows"]), int(counted["ids"])
            raise repeated_rows(n_rows - n_ids, n_rows, again["receipt_id"][0], "buyers")

    def _answer_columns(self) -> dict[str, Any]:
        names = ["age", *(f"under_{edge:g}" for edge in self.groups.edges)]
        missing = [name for name in ("status", *names) if name not in self.buyers.columns]
        if missing:
            raise RetailDataError(
                f"buyers have no column {', '.join(missing)}",
                "pass the same groups to estimate_buyers",
            )
        return {f"v{at}": as_number(self.buyers[name]) for at, name in enumerate(names)}

    def _find_answers(self) -> tuple[Array, Any, dict[str, int]]:
        """Number the distinct answers; count buyers by what is known of them."""
        ibis = import_ibis()
        columns = self._answer_columns()
        others = [] if self.customer is None else [self.customer]
        said = self.buyers.select("receipt_id", "status", *others, **columns)
        known = ibis.and_(*(said[name].notnull() for name in columns))
        fate = ibis.ifelse(
            said.status == "ok", ibis.ifelse(known, "ok", "no age"), said.status.cast("string")
        )
        said = said.mutate(fate=fate)
        by_fate = self.engine.fetch(said.group_by("fate").aggregate(rows=said.count()))
        told = said.filter(said.fate == "ok")
        found = self.engine.fetch(told.select(*columns).distinct())
        values, _ = number_answers(found[list(columns)].to_numpy(np.float64))
        numbered = pd.DataFrame(values, columns=list(columns)).assign(answer=range(len(values)))
        sent = self.engine.send("answers", numbered)
        same = [said.fate == "ok", *(said[name] == sent[name] for name in columns)]
        joined = said.left_join(sent, same)
        kept = {"receipt_id": joined.receipt_id, "answer": joined.answer.fill_null(_NO_AGE)}
        if self.customer is not None:
            kept["customer"] = joined[self.customer]
        fates = dict(zip(by_fate["fate"], by_fate["rows"].astype(int), strict=True))
        return values, joined.select(**kept), fates

    def _number(self, column: Any, name: str) -> tuple[list[str], Any]:
        """Number names as they are read from any table; each form of a name gets its number."""
        label = column.get_name()
        forms = self.engine.fetch(column.as_table().distinct())[label]
        names = read_names(forms, f"the table of {name}")
        if name == "things":
            names = names.fillna(NO_THING)
        codes, distinct = pd.factorize(names, sort=True)
        table = pd.DataFrame({"form": forms, "number": codes})[forms.notna().to_numpy()]
        if not len(table):
            table = pd.DataFrame({"form": [""], "number": [_NOBODY]})
        return list(distinct), self.engine.send(name, table.infer_objects())

    def _keep_people(self, known: Any, n_answers: int, numbers: Any) -> Any:
        ibis = import_ibis()
        if numbers is None:
            known = known.mutate(customer=ibis.literal(_NOBODY, "int64"))
        else:
            joined = known.left_join(numbers, known.customer == like(numbers.form, known.customer))
            known = joined.select("receipt_id", "answer", customer=joined.number.fill_null(_NOBODY))
        return self.engine.keep("people", known)

    def _keep_cells(self, people: Any, names: list[str], things: Any) -> Any:
        """Keep what is left of each thing, by what was said of the buyer."""
        ibis = import_ibis()
        lines = self.lines
        numbers = {name: as_number(lines[name]) for name in _NUMBERS if name in lines.columns}
        lines = lines.select("receipt_id", **numbers, form=lines[self.by])
        ours, theirs = alike(lines.receipt_id, people.receipt_id)
        joined = lines.left_join(people, ours == theirs)
        joined = joined.select("form", "answer", "customer", *numbers, receipt=joined.receipt_id)
        joined = joined.left_join(things, joined.form == like(things.form, joined.form))
        used = joined.answer.fill_null(_NO_AGE) >= 0
        none = names.index(NO_THING) if NO_THING in names else _NOBODY
        one = ibis.literal(1.0)
        pieces = joined.quantity.fill_null(1.0) if "quantity" in numbers else one
        # Lines that are not used need no receipt: they are counted together.
        rows = joined.select(
            receipt=ibis.ifelse(used, joined.receipt, ibis.null(joined.receipt.type())),
            thing=ibis.ifelse(used, joined.number.fill_null(none), _NOBODY),
            answer=joined.answer.fill_null(_NO_AGE - 1),
            customer=joined.customer.fill_null(_NOBODY),
            pieces=pieces,
            given=joined.quantity if "quantity" in numbers else one,
            spend=pieces * joined.price if "price" in numbers else ibis.null("float64"),
        )
        kinds = _kinds(rows.given) if "quantity" in numbers else {}
        net = rows.group_by("receipt", "thing", "answer", "customer").aggregate(
            n_lines=rows.count(),
            pieces=rows.pieces.sum(),
            spend=rows.spend.sum(),
            priced=rows.spend.count(),
            **{kind: rows.count(where=where) for kind, where in kinds.items()},
        )
        cells = net.group_by("thing", "answer", "customer").aggregate(
            bought=net.count(where=net.pieces > LEAST_PIECES),
            n_things=net.count(),
            spend=net.spend.sum().fill_null(0.0),
            **{name: net[name].sum() for name in ("n_lines", "priced", *kinds)},
        )
        return self.engine.keep("cells", cells)

    def _count_receipts(self, people: Any) -> pd.DataFrame:
        told = people.filter(people.answer >= 0)
        ours, theirs = alike(told.receipt_id, self.lines.receipt_id)
        with_lines = told.semi_join(self.lines, ours == theirs)
        return self.engine.fetch(
            with_lines.group_by("answer", "customer").aggregate(n=with_lines.count())
        )

    def _list_uses(self, cells: Any, fates: dict[str, int], n_used: int) -> pd.DataFrame:
        totals = cells.mutate(fate=_fate(cells.answer)).group_by("fate")
        columns = [name for name in cells.columns if name not in ("thing", "answer", "customer")]
        found = self.engine.fetch(totals.aggregate(**{name: cells[name].sum() for name in columns}))
        found = found.set_index("fate").reindex([0, 1, 2], fill_value=0).fillna(0)
        unknown, no_age, used = (int(found.loc[at, "n_lines"]) for at in (0, 1, 2))
        if used + no_age < (used + no_age + unknown) / 100:
            self._check_join()
        of_used = found.loc[2]
        with_age = fates.pop("ok", 0)
        receipts = {"used": n_used, "no lines": with_age - n_used, **fates}
        kinds = None
        if "quantity" in self.lines.columns:
            kinds = {name: int(of_used[f"k{at}"]) for at, name in enumerate(_KINDS)}
        n_unpriced = used - int(of_used["priced"]) if "price" in self.lines.columns else 0
        things = int(of_used["bought"]), int(of_used["n_things"])
        return list_uses(receipts, (used, unknown, no_age), kinds, n_unpriced, things)

    def _check_join(self) -> None:
        lines, buyers = (
            read_names(
                self.engine.fetch(table.select("receipt_id").limit(1000))["receipt_id"], kind
            )
            for table, kind in ((self.lines, "lines"), (self.buyers, "buyers"))
        )
        check_join(lines, buyers, "lines", "buyers")

    def _origin(self) -> str | None:
        if "calibration" not in self.buyers.columns:
            return None
        return origin_of(self.engine.fetch(self.buyers.select("calibration").distinct()))


class SumsInEngine:
    """Sums that an engine computes; as ``Sums``."""

    def __init__(
        self,
        engine: Engine,
        cells: Any,
        names: list[str],
        answers: Answers,
        numbers: npt.NDArray[np.intp],
        customers: npt.NDArray[np.intp],
        counts: pd.DataFrame,
        origin: str | None,
    ):
        self._engine = engine
        self._cells = cells.filter(cells.answer >= 0)
        self._numbers, self._customers = numbers, customers
        self.names = np.asarray(names, dtype=object)
        self.answers, self.counts, self.origin = answers, counts, origin
        cells = self._cells
        named = cells.filter(cells.customer >= 0, cells.bought > 0)
        each = named.group_by("thing").aggregate(n=named.customer.nunique())
        found = cells.group_by("thing").aggregate(
            n=cells.bought.sum(),
            alone=cells.bought.sum(where=cells.customer < 0).fill_null(0),
            priced=cells.priced.sum(),
        )
        self.n_receipts, alone, self.n_priced = self._by_thing(found, ["n", "alone", "priced"]).T
        self.n_buyers = alone + self._by_thing(each, ["n"])[:, 0]

    def bought(self, values: Array, *, alone: bool = False) -> Array:
        cells = self._cells
        if alone:
            cells = cells.filter(cells.customer < 0)
        return self._sum(cells, cells.bought, values)

    def spent(self, values: Array) -> Array:
        return self._sum(self._cells, self._cells.spend, values)

    def by_customer(self, values: Array, totals: Array) -> tuple[Array, Array]:
        n_values = values.shape[1]
        cells = self._cells.filter(self._cells.customer >= 0, self._cells.bought > 0)
        sent, names = self._send(values)
        joined = cells.join(sent, cells.answer == sent.answer)
        own = joined.group_by("thing", "customer").aggregate(
            **{name: (joined.bought * joined[name]).sum() for name in names}
        )
        table = pd.DataFrame(totals, columns=[f"t{at}" for at in range(n_values)])
        total = self._engine.send("totals", table.assign(number=self._customers))
        joined = own.join(total, own.customer == total.number)
        pairs = [(one, two) for one in range(n_values) for two in range(one, n_values)]
        squares = {f"s{one}_{two}": joined[f"v{one}"] * joined[f"v{two}"] for one, two in pairs}
        crossed = {
            f"c{one}_{two}": joined[f"v{one}"] * joined[f"t{two}"]
            for one in range(n_values)
            for two in range(n_values)
        }
        terms = squares | crossed
        found = self._by_thing(
            joined.group_by("thing").aggregate(
                **{name: term.sum() for name, term in terms.items()}
            ),
            [*terms],
        )
        first, second = np.array(pairs).T
        square = np.zeros((len(self.names), n_values, n_values))
        square[:, first, second] = square[:, second, first] = found[:, : len(pairs)]
        return square, found[:, len(pairs) :].reshape(-1, n_values, n_values)

    def _send(self, values: Array) -> tuple[Any, list[str]]:
        names = [f"v{at}" for at in range(values.shape[1])]
        table = pd.DataFrame(values, columns=names).assign(answer=self._numbers)
        return self._engine.send("values", table), names

    def _sum(self, cells: Any, weights: Any, values: Array) -> Array:
        sent, names = self._send(values)
        joined = cells.join(sent, cells.answer == sent.answer)
        weight = joined[weights.get_name()]
        sums = {name: (weight * joined[name]).sum() for name in names}
        return self._by_thing(joined.group_by("thing").aggregate(**sums), names)

    def _by_thing(self, expression: Any, columns: list[str]) -> Array:
        found = self._engine.fetch(expression)
        filled = np.zeros((len(self.names), len(columns)))
        filled[found["thing"].to_numpy(np.intp)] = found[columns].to_numpy(np.float64, na_value=0.0)
        return filled


def _kinds(quantity: Any) -> dict[str, Any]:
    tests = (quantity > 0, quantity < 0, quantity == 0, quantity.isnull())
    return {f"k{at}": test for at, test in enumerate(tests)}


def _fate(answer: Any) -> Any:
    """0 for lines of an unknown receipt, 1 where no age is known, 2 for those that are used."""
    ibis = import_ibis()
    return ibis.ifelse(answer >= 0, 2, ibis.ifelse(answer == _NO_AGE, 1, 0))
