// What a program in TypeScript does with the types that openapi-typescript makes of the API document.

import createClient from "openapi-fetch";
import type { components, paths } from "./strata";

type Problem = components["schemas"]["ProblemDetails"];
type Purchase = components["schemas"]["PurchaseIn"];

class StrataError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.errors.map((each) => `${each.pointer}: ${each.message}`).join("; ") || problem.title);
  }
}

function given<Data>(answer: { data?: Data; error?: Problem }): Data {
  if (answer.data === undefined) throw new StrataError(answer.error!);
  return answer.data;
}

export async function logIn(baseUrl: string, username: string, password: string) {
  const client = createClient<paths>({ baseUrl });
  const token = given(
    await client.POST("/v1/auth/token", {
      body: { grant_type: "password", username, password, scope: "" },
      bodySerializer: (body) => new URLSearchParams(body as Record<string, string>),
    }),
  );
  const seconds: number = token.expires_in;
  return { seconds, client: createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token.access_token}` } }) };
}

type Client = Awaited<ReturnType<typeof logIn>>["client"];

/** Names of every customer of a class, page by page. */
export async function namesOfClass(client: Client, key: string, name: string): Promise<string[]> {
  const names: string[] = [];
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = cursor === null ? { limit: 200 } : { limit: 200, cursor };
    const page: components["schemas"]["CustomerPage"] = given(
      await client.GET("/v1/schemes/{key}/classes/{name}/customers", { params: { path: { key, name }, query } }),
    );
    names.push(...page.items.map((each) => each.name));
    cursor = page.next_cursor;
  } while (cursor !== null);
  return names;
}

/** Why a customer is in its class, one line a condition. */
export async function explain(client: Client, customer_id: string, key: string): Promise<string[]> {
  const why = given(
    await client.GET("/v1/customers/{customer_id}/classes/{key}/explanation", { params: { path: { customer_id, key } } }),
  );
  return why.conditions.map((each) => `${each.class}: ${each.metric} ${each.op} ${each.threshold} is ${each.met}`);
}

/** The classes after a purchase, or what was wrong with it. */
export async function record(client: Client, customer_id: string, body: Purchase): Promise<Record<string, string> | Problem> {
  const params = { path: { customer_id }, header: { "Idempotency-Key": body.order_ref ?? "none" } };
  const { data, error } = await client.POST("/v1/customers/{customer_id}/purchases", { params, body });
  return data === undefined ? error : data.classes;
}

/** Big spenders of a region. */
export async function search(client: Client): Promise<number> {
  const where: components["schemas"]["PredicateNode"] = {
    all: [
      { metric: "monetary", op: "gte", value: "10000" },
      { field: "region", op: "within", value: "CN-31" },
      { not: { class: "lifecycle", op: "in", value: ["lost"] } },
    ],
  };
  const body = { where, sort: "-created_at", limit: 50, include_total: true } as const;
  return given(await client.POST("/v1/customers/search", { body })).total ?? 0;
}
