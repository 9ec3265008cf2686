// Whether the API document is valid OpenAPI 3.1, and has what readers and generators expect of one.

import { createConfig, lint } from "@redocly/openapi-core";

const config = await createConfig({
  extends: ["recommended-strict"], // what is a warning elsewhere is an error here
  rules: {
    "no-invalid-schema-examples": "error",
    // `/customers/merges/{merge_id}` and `/customers/{customer_id}/notes`: both fit a path only with a customer whose id
    // is "merges", and ids are UUIDs; between a name and a parameter, OpenAPI lets the name decide.
    "no-ambiguous-paths": "off",
    // Every error is a problem of one shape, documented as the `default` of each operation.
    "operation-4xx-response": "off",
  },
});
const problems = await lint({ ref: process.argv[2], config });
for (const { ruleId, message, location } of problems) console.log(`${ruleId}: ${location[0]?.pointer}: ${message}`);
process.exit(problems.length && 1);
