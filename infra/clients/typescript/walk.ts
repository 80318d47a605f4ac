// A client that openapi-typescript makes the types of walks from a new deployment to
// the delivery that its run ends with: node walk.js URL TOKEN RECEIVER
// schema.ts is made from the document; the compiler holds every call to it.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[] };

const [baseUrl, token, receiver] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

/** What an answer holds; an error's own words if it is one. */
function good<T>(what: string, answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${what}: ${answer.response.status} ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

/** Asks until there is something, for at most 30 s. */
async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    const found = await ask();
    if (found !== undefined) return found;
    await new Promise((next) => setTimeout(next, 20));
  }
  throw new Error(`there is no ${what}`);
}

function equal<T>(what: string, got: T, want: T): void {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    throw new Error(`${what} is ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
  }
}

const { id: deployment } = good("a deployment", await client.POST("/v1/deployments", { body: { name: "made by TypeScript" } }));
const path = { deployment };
const version = good("a version", await client.POST("/v1/deployments/{deployment}/versions", {
  params: { path },
  body: { environment: "production", target: { type: "http", url: `${receiver}/run` } },
}));
equal("the version's number", version.number, 1);
const outgoing = good("an outgoing webhook", await client.POST("/v1/deployments/{deployment}/outgoing-webhooks", {
  params: { path },
  body: { name: "told", url: `${receiver}/hook`, events: ["run.succeeded"], environment: "production", rate_limit: null },
}));
equal("the secret's beginning", outgoing.signing_secret?.slice(0, 6), "whsec_");
const incoming = good("an incoming webhook", await client.POST("/v1/deployments/{deployment}/incoming-webhooks", {
  params: { path },
  body: { name: "trigger", environment: "production" },
}));
const trigger = incoming.url?.split("/").at(-1) ?? "";

const started = good("a run", await client.POST("/webhooks/runs/{token}", {
  params: { path: { token: trigger }, header: { "Idempotency-Key": "typescript" } },
  body: { from: "TypeScript" },
}));
if (started === undefined || typeof started === "string" || !("run_id" in started)) throw new Error(`no run: ${JSON.stringify(started)}`);
const run = await eventually("run that is over", async () => {
  const { data } = await client.GET("/v1/runs/{run}", { params: { path: { run: started.run_id } } });
  return data && data.completed_at !== null ? data : undefined;
});
equal("the run's status", run.status, "succeeded");
equal("its input", run.input, { from: "TypeScript" });

const delivery = await eventually("delivery that succeeded", async () => {
  const page = good("deliveries", await client.GET("/v1/deployments/{deployment}/outgoing-webhooks/{outgoing}/deliveries", {
    params: { path: { deployment, outgoing: outgoing.id }, query: { status: "succeeded" } },
  }));
  return page.data[0];
});
const detail = good("the delivery", await client.GET("/v1/deliveries/{delivery}", { params: { path: { delivery: delivery.id } } }));
equal("the answer to its last attempt", detail.attempts?.at(-1)?.response_status, 204);
equal("what it is of", detail.event, "run.succeeded");

const changed = good("a change", await client.PATCH("/v1/deployments/{deployment}/outgoing-webhooks/{outgoing}", {
  params: { path: { deployment, outgoing: outgoing.id } },
  body: { timeout_seconds: 7 },
}));
equal("what is left as it is", [changed.timeout_seconds, changed.enabled, changed.format], [7, true, "raw"]);

const refused = await client.POST("/v1/deployments", { body: { name: "" } });
equal("the error's field", refused.error?.error.field, "name");
console.log(delivery.id);
