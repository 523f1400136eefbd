// What every page needs: calls with the token, and texts that are put in as texts.

const TOKEN = "ageboost token";

export const find = (id) => document.getElementById(id);

export function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export function fail(message) {
  find("alert").hidden = !message;
  find("alert").textContent = message;
}

// Call the service. Where it wants a token, ask for one, and call again once there is one.
export async function call(path, options = {}) {
  const headers = { ...options.headers };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  if (answer.status === 401) {
    await askForToken(Boolean(token));
    return call(path, options);
  }
  const isJson = (answer.headers.get("Content-Type") ?? "").includes("json");
  const content = isJson ? await answer.json() : null;
  if (!answer.ok) throw new Error(content?.detail ?? `The service answers ${answer.status}.`);
  return content;
}

let asking = null;

// Several calls may find out at once that a token is missing: one form is for all of them.
function askForToken(wasWrong) {
  const form = find("token-form");
  asking ??= new Promise((resolve) => {
    form.hidden = false;
    find("token-note").textContent = wasWrong ? "That is not the token." : "";
    find("token").focus();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, find("token").value);
      find("token").value = "";
      form.hidden = true;
      asking = null;
      resolve();
    }, { once: true });
  });
  return asking;
}

export function table(caption, columns, rows, numbers = []) {
  const made = make("table");
  made.append(make("caption", caption));
  const head = make("tr");
  const kind = (index) => (numbers.includes(index) ? { class: "number" } : {});
  columns.forEach((name, index) => head.append(make("th", name, { scope: "col", ...kind(index) })));
  const top = make("thead");
  top.append(head);
  const body = make("tbody");
  for (const row of rows) {
    const line = make("tr");
    row.forEach((cell, index) => {
      line.append(index ? make("td", cell, kind(index)) : make("th", cell, { scope: "row" }));
    });
    body.append(line);
  }
  made.append(top, body);
  const scroll = make("div", "", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" });
  scroll.append(made);
  return scroll;
}
