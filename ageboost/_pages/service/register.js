// The refusals register: what was not sold, when, by whom and why.

import { call, fail, find, make, table } from "/static/common.js";

const NAMES = {
  checks: "checks",
  answered_ask: "advised to ask",
  asked: "cards asked for",
  sold: "sold",
  refused: "refused",
};

async function show() {
  fail("");
  const query = new URLSearchParams();
  for (const name of ["since", "until"]) {
    if (find(name).value) query.set(name, find(name).value);
  }
  try {
    const found = await call(`/v1/refusals?${query}`);
    find("counts").replaceChildren(
      ...Object.entries(found.counts).map(([name, count]) => {
        const fact = make("div");
        fact.append(make("dt", NAMES[name]), make("dd", count.toLocaleString("en")));
        return fact;
      }),
    );
    const rows = found.refusals.map((row) => [
      row.time.slice(0, 16).replace("T", " "),
      row.till ?? "",
      row.cashier ?? "",
      row.goods ?? "",
      row.asked ? "yes" : "no",
      row.refusal ?? "not stated",
    ]);
    const columns = ["time", "till", "cashier", "goods", "card asked for", "why refused"];
    find("refusals").replaceChildren(...(rows.length ? [table("Refusals", columns, rows)] : []));
    find("progress").textContent = rows.length === 1 ? "1 refusal." : `${rows.length} refusals.`;
  } catch (error) {
    find("progress").textContent = "";
    fail(error.message);
  }
}

find("period").addEventListener("submit", (event) => {
  event.preventDefault();
  show();
});
find("print").addEventListener("click", () => window.print());
show();
