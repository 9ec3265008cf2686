// What a program in TypeScript does with the types that openapi-typescript makes of the API document.

import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./strata";

type Schemas = components["schemas"];
type Customer = Schemas["CustomerOut"];

/** A problem: what is wrong, and with which field. */
class StrataError extends Error {
  constructor({ status, title, errors }: Schemas["ProblemDetails"]) {
    super([`${status} ${title}`, ...errors.map((each) => `${each.pointer}: ${each.message}`)].join(": "));
  }
}

function given<Data>(answer: { data?: Data; error?: Schemas["ProblemDetails"] }): Data {
  if (answer.data === undefined) throw new StrataError(answer.error!);
  return answer.data;
}

async function logIn(baseUrl: string, username: string, password: string) {
  const token = given(
    await createClient<paths>({ baseUrl }).POST("/v1/auth/token", {
      body: { grant_type: "password", username, password },
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    }),
  );
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token.access_token}` } });
}

type Client = Awaited<ReturnType<typeof logIn>>;

const COLUMNS = { customer_ref: "Customer", order_ref: "Invoice", occurred_at: "Date", amount: "Quantity * Price" };

function form(body: object): FormData {
  const made = new FormData();
  for (const [name, value] of Object.entries(body)) made.set(name, value instanceof Blob ? value : String(value));
  return made;
}

const inProgress = (work: { status: string }): boolean => work.status === "queued" || work.status === "running";

/** Import a file of purchases; wait for it, and for the classes that follow. */
async function finishedImport(client: Client, path: string): Promise<Schemas["ImportOut"]> {
  const file = new File([await readFile(path)], basename(path));
  const body: Schemas["ImportIn"] = {
    file: file as unknown as string, // so the types have it
    kind: "purchases",
    mapping: JSON.stringify(COLUMNS),
    create_customers: true,
    currency: "CNY",
  };
  const params = { header: { "Idempotency-Key": "january-to-march" } };
  let found = given(await client.POST("/v1/imports", { params, body, bodySerializer: form }));
  console.log(`import ${found.status}`);
  while (inProgress(found)) {
    await setTimeout(200);
    found = given(await client.GET("/v1/imports/{import_id}", { params: { path: { import_id: found.id } } }));
  }
  const newest = { params: { query: { limit: 1 } } };
  while (given(await client.GET("/v1/recalculations", newest)).items.some(inProgress)) await setTimeout(200);
  return found;
}

/** All customers by name, page by page. */
async function* everyCustomer(client: Client): AsyncGenerator<Customer> {
  let cursor: string | null = null;
  do {
    const query: { sort: Schemas["Sort"]; limit: number; cursor?: string } = { sort: "name", limit: 2 };
    if (cursor !== null) query.cursor = cursor;
    const page: Schemas["CustomerPage"] = given(await client.GET("/v1/customers", { params: { query } }));
    console.log(`page of ${page.items.length}`);
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

async function main(baseUrl: string, password: string, path: string): Promise<void> {
  const client = await logIn(baseUrl, "admin", password);
  console.log(`logged in as ${given(await client.GET("/v1/me")).username}`);

  const done = await finishedImport(client, path);
  console.log(`import ${done.status}: ${done.accepted} accepted, ${done.rejected} rejected`);
  const rejected = { params: { path: { import_id: done.id } } };
  for (const { line, field, reason } of given(await client.GET("/v1/imports/{import_id}/errors", rejected)).items) {
    console.log(`line ${line}: ${field}: ${reason}`);
  }

  const members = { params: { path: { key: "abc", name: "A" } } };
  const best = given(await client.GET("/v1/schemes/{key}/classes/{name}/customers", members)).items;
  console.log(`class A: ${best.map((each) => each.name).join(", ")}`);

  const customer_id = best[0]!.id;
  const asked = { params: { path: { customer_id, key: "abc" } } };
  const why = given(await client.GET("/v1/customers/{customer_id}/classes/{key}/explanation", asked));
  for (const { class: name, metric, value, op, threshold, met } of why.conditions) {
    console.log(`${name}: ${metric} ${value} ${op} ${threshold}: ${met ? "yes" : "no"}`);
  }

  for await (const customer of everyCustomer(client)) console.log(`${customer.name}: ${customer.classes["abc"]}`);

  const params = { path: { customer_id }, header: { "Idempotency-Key": "SO-8" } };
  const body = { occurred_at: "2026-03-03T00:00:00Z", amount: "12.345678" };
  try {
    given(await client.POST("/v1/customers/{customer_id}/purchases", { params, body }));
  } catch (problem) {
    if (!(problem instanceof StrataError)) throw problem;
    console.log(problem.message);
  }
}

const [baseUrl, password, path] = process.argv.slice(2) as [string, string, string];
await main(baseUrl, password, path);
