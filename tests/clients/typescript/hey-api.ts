// What a program in TypeScript does with the client that hey-api makes of the API document.

import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout } from "node:timers/promises";
import {
  explainClass,
  getImport,
  issueToken,
  listClassCustomers,
  listCustomers,
  listImportErrors,
  listRecalculations,
  readMe,
  recordPurchase,
  startImport,
} from "./strata";
import type { CustomerOut, CustomerPage, ImportOut, ProblemDetails, PurchaseIn } from "./strata";
import { createClient, type Client } from "./strata/client";

/** A problem: what is wrong, and with which field. */
class StrataError extends Error {
  constructor({ status, title, errors }: ProblemDetails) {
    super([`${status} ${title}`, ...errors.map((each) => `${each.pointer}: ${each.message}`)].join(": "));
  }
}

function given<Data>(answer: { data: Data | undefined; error: ProblemDetails | undefined }): Data {
  if (answer.data === undefined) throw new StrataError(answer.error!);
  return answer.data;
}

async function logIn(baseUrl: string, username: string, password: string): Promise<Client> {
  const token = given(await issueToken({ client: createClient({ baseUrl }), body: { username, password } }));
  return createClient({ baseUrl, auth: token.access_token });
}

const COLUMNS = { customer_ref: "Customer", order_ref: "Invoice", occurred_at: "Date", amount: "Quantity * Price" };

const inProgress = (work: { status: string }): boolean => work.status === "queued" || work.status === "running";

/** Import a file of purchases; wait for it, and for the classes that follow. */
async function finishedImport(client: Client, path: string): Promise<ImportOut> {
  const body = {
    file: new File([await readFile(path)], basename(path)),
    kind: "purchases",
    mapping: JSON.stringify(COLUMNS),
    create_customers: true,
    currency: "CNY",
  };
  let found = given(await startImport({ client, body, headers: { "Idempotency-Key": "january-to-march" } }));
  console.log(`import ${found.status}`);
  while (inProgress(found)) {
    await setTimeout(200);
    found = given(await getImport({ client, path: { import_id: found.id } }));
  }
  while (given(await listRecalculations({ client, query: { limit: 1 } })).items.some(inProgress)) await setTimeout(200);
  return found;
}

/** All customers by name, page by page. */
async function* everyCustomer(client: Client): AsyncGenerator<CustomerOut> {
  let cursor: string | null = null;
  do {
    const next: { cursor?: string } = cursor === null ? {} : { cursor };
    const page: CustomerPage = given(await listCustomers({ client, query: { sort: "name", limit: 2, ...next } }));
    console.log(`page of ${page.items.length}`);
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

async function main(baseUrl: string, password: string, path: string): Promise<void> {
  const client = await logIn(baseUrl, "admin", password);
  console.log(`logged in as ${given(await readMe({ client })).username}`);

  const done = await finishedImport(client, path);
  console.log(`import ${done.status}: ${done.accepted} accepted, ${done.rejected} rejected`);
  const rejected = given(await listImportErrors({ client, path: { import_id: done.id } })).items;
  for (const { line, field, reason } of rejected) console.log(`line ${line}: ${field}: ${reason}`);

  const best = given(await listClassCustomers({ client, path: { key: "abc", name: "A" } })).items;
  console.log(`class A: ${best.map((each) => each.name).join(", ")}`);

  const customer_id = best[0]!.id;
  const why = given(await explainClass({ client, path: { customer_id, key: "abc" } }));
  for (const { class: name, metric, value, op, threshold, met } of why.conditions) {
    console.log(`${name}: ${metric} ${value} ${op} ${threshold}: ${met ? "yes" : "no"}`);
  }

  for await (const customer of everyCustomer(client)) console.log(`${customer.name}: ${customer.classes["abc"]}`);

  const body: PurchaseIn = { occurred_at: "2026-03-03T00:00:00Z", amount: "12.345678" };
  try {
    given(await recordPurchase({ client, path: { customer_id }, body, headers: { "Idempotency-Key": "SO-8" } }));
  } catch (problem) {
    if (!(problem instanceof StrataError)) throw problem;
    console.log(problem.message);
  }
}

const [baseUrl, password, path] = process.argv.slice(2) as [string, string, string];
await main(baseUrl, password, path);
