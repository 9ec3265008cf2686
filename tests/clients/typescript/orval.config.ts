export default {
  strata: {
    input: "openapi.json",
    output: {
      target: "strata.ts",
      mode: "split",
      client: "fetch",
      override: { mutator: { path: "orval-fetch.ts", name: "send" } },
    },
  },
};
