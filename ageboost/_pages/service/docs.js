// The OpenAPI document of the service, as a page.

import { call, fail, find, make, table } from "/static/common.js";

function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${kind(schema.items)}`;
  return schema.format ?? schema.type ?? "anything";
}

function describe(path, method, operation) {
  const parts = [
    make("h2", `${method.toUpperCase()} ${path}`),
    make("p", operation.description ?? operation.summary ?? ""),
  ];
  const parameters = (operation.parameters ?? []).map((one) => [
    one.name, one.in, kind(one.schema), one.description ?? one.schema.description ?? "",
  ]);
  const of = `${method.toUpperCase()} ${path}`;
  if (parameters.length) {
    parts.push(table(`Parameters of ${of}`, ["name", "in", "kind", "meaning"], parameters));
  }
  const bodies = Object.entries(operation.requestBody?.content ?? {}).map(([type, body]) => [
    type, body.schema.properties ? Object.keys(body.schema.properties).join(", ") : kind(body.schema),
  ]);
  if (bodies.length) parts.push(table(`Bodies of ${of}`, ["type", "content"], bodies));
  const answers = Object.entries(operation.responses).map(([status, answer]) => [
    status, answer.description, kind(answer.content?.["application/json"]?.schema),
  ]);
  parts.push(table(`Answers of ${of}`, ["status", "meaning", "content"], answers));
  return parts;
}

function define(name, schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([field, of]) => [
    field, kind(of), of.description ?? "",
  ]);
  const parts = [make("h3", name), make("p", schema.description ?? "")];
  if (rows.length) parts.push(table(`Fields of ${name}`, ["field", "kind", "meaning"], rows));
  return parts;
}

async function show() {
  const document = await call("/openapi.json");
  find("example").textContent =
    `curl -F photo=@buyer.jpg "${location.origin}/v1/check?till=3"\n` +
    `curl -H "Content-Type: image/jpeg" --data-binary @buyer.jpg ${location.origin}/v1/analyze`;
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      find("operations").append(...describe(path, method, operation));
    }
  }
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    find("schemas").append(...define(name, schema));
  }
}

show().catch((error) => fail(error.message));
