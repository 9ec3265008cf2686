// What a program in TypeScript does with the functions that orval makes of the API document.

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
import type { CustomerOut, ImportOut, ProblemDetails, PurchaseIn } from "./strata.schemas";
import { server } from "./orval-fetch";

/** A problem: what is wrong, and with which field. */
class StrataError extends Error {
  constructor({ status, title, errors }: ProblemDetails) {
    super([`${status} ${title}`, ...errors.map((each) => `${each.pointer}: ${each.message}`)].join(": "));
  }
}

/** The data of the success that the document promises with this status; everything else is a problem. */
function given<Answer extends { status: number; data: unknown }, Status extends Answer["status"]>(
  answer: Answer,
  status: Status,
): Extract<Answer, { status: Status }>["data"] {
  if (answer.status !== status) throw new StrataError(answer.data as ProblemDetails);
  return answer.data;
}

async function logIn(baseUrl: string, username: string, password: string): Promise<void> {
  server.baseUrl = baseUrl;
  server.token = given(await issueToken({ username, password }), 200).access_token;
}

const COLUMNS = { customer_ref: "Customer", order_ref: "Invoice", occurred_at: "Date", amount: "Quantity * Price" };

const inProgress = (work: { status: string }): boolean => work.status === "queued" || work.status === "running";

/** Import a file of purchases; wait for it, and for the classes that follow. */
async function finishedImport(path: string): Promise<ImportOut> {
  const body = {
    file: new File([await readFile(path)], basename(path)),
    kind: "purchases",
    mapping: JSON.stringify(COLUMNS),
    create_customers: true,
    currency: "CNY",
  };
  let found = given(await startImport(body, { headers: { "Idempotency-Key": "january-to-march" } }), 202);
  console.log(`import ${found.status}`);
  while (inProgress(found)) {
    await setTimeout(200);
    found = given(await getImport(found.id), 200);
  }
  while (given(await listRecalculations({ limit: 1 }), 200).items.some(inProgress)) await setTimeout(200);
  return found;
}

/** All customers by name, page by page. */
async function* everyCustomer(): AsyncGenerator<CustomerOut> {
  let cursor: string | null = null;
  do {
    const next: { cursor?: string } = cursor === null ? {} : { cursor };
    const page = given(await listCustomers({ sort: "name", limit: 2, ...next }), 200);
    console.log(`page of ${page.items.length}`);
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

async function main(baseUrl: string, password: string, path: string): Promise<void> {
  await logIn(baseUrl, "admin", password);
  console.log(`logged in as ${given(await readMe(), 200).username}`);

  const done = await finishedImport(path);
  console.log(`import ${done.status}: ${done.accepted} accepted, ${done.rejected} rejected`);
  const rejected = given(await listImportErrors(done.id), 200).items;
  for (const { line, field, reason } of rejected) console.log(`line ${line}: ${field}: ${reason}`);

  const best = given(await listClassCustomers("abc", "A"), 200).items;
  console.log(`class A: ${best.map((each) => each.name).join(", ")}`);

  const customer_id = best[0]!.id;
  const why = given(await explainClass(customer_id, "abc"), 200);
  for (const { class: name, metric, value, op, threshold, met } of why.conditions) {
    console.log(`${name}: ${metric} ${value} ${op} ${threshold}: ${met ? "yes" : "no"}`);
  }

  for await (const customer of everyCustomer()) console.log(`${customer.name}: ${customer.classes["abc"]}`);

  const body: PurchaseIn = { occurred_at: "2026-03-03T00:00:00Z", amount: "12.345678" };
  try {
    given(await recordPurchase(customer_id, body, { headers: { "Idempotency-Key": "SO-8" } }), 201);
  } catch (problem) {
    if (!(problem instanceof StrataError)) throw problem;
    console.log(problem.message);
  }
}

const [baseUrl, password, path] = process.argv.slice(2) as [string, string, string];
await main(baseUrl, password, path);
