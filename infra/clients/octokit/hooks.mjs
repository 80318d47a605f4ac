// Manages the hooks of a repository with octokit, as its users do with GitHub's.
// Usage: node hooks.mjs URL ADMIN_TOKEN RECEIVER; the repository acme/site is there,
// and RECEIVER answers 204.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Octokit } from "octokit";

const [base, auth, receiver] = process.argv.slice(2);

async function refused(call, status, message) {
  await assert.rejects(call, (error) => error.status === status && message.test(error.message) || assert.fail(`${error.status} ${error.message}`));
}

for (const baseUrl of [base, base + "/api/v3"]) {
  // Boathook has no limit that needs a second between two writes.
  const { rest, paginate } = new Octokit({ baseUrl, auth, throttle: { enabled: false } });
  const repository = { owner: "acme", repo: "site" };
  assert.equal((await rest.repos.get(repository)).data.full_name, "acme/site");

  const config = { url: receiver, content_type: "json", insecure_ssl: "0", secret: "s3cret" };
  const { data: made } = await rest.repos.createWebhook({ ...repository, name: "web", active: true, events: ["build_finish"], config });
  const hook = { ...repository, hook_id: made.id };
  assert.deepEqual(made.config, { ...config, secret: "********" });
  assert.equal(made.url, `${baseUrl}/repos/acme/site/hooks/${made.id}`);
  assert.deepEqual(made.last_response, { code: null, status: "unused", message: null });

  const { data: second } = await rest.repos.createWebhook({ ...repository, config: { url: receiver + "/second" } });
  assert.deepEqual((await paginate(rest.repos.listWebhooks, { ...repository, per_page: 1 })).map((h) => h.id).sort(), [made.id, second.id].sort());
  await rest.repos.deleteWebhook({ ...repository, hook_id: second.id });

  assert.deepEqual((await rest.repos.updateWebhook({ ...hook, events: ["*"], active: true })).data.events, ["*"]);
  assert.equal((await rest.repos.getWebhook(hook)).data.config.secret, "********");
  assert.deepEqual((await rest.repos.getWebhookConfigForRepo(hook)).data, made.config);
  const moved = { ...made.config, url: receiver + "/moved" };
  assert.deepEqual((await rest.repos.updateWebhook({ ...hook, config: moved })).data.config, moved);
  // Its url can't be given here: octokit takes that for the request's own.
  assert.deepEqual((await rest.repos.updateWebhookConfigForRepo({ ...hook, insecure_ssl: 0 })).data, moved);
  const { secret, ...unsigned } = moved;
  assert.deepEqual((await rest.repos.updateWebhookConfigForRepo({ ...hook, secret: "" })).data, unsigned);

  assert.equal((await rest.repos.pingWebhook(hook)).status, 204);
  assert.equal((await rest.repos.testPushWebhook(hook)).status, 204);
  const all = async (count) => {
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(50)) { // there is no way to be told
      const found = await paginate(rest.repos.listWebhookDeliveries, { ...hook, per_page: 1 });
      if (found.length === count && found.every((d) => d.status_code === 204)) return found;
    }
    assert.fail(`there are not ${count} deliveries`);
  };
  const deliveries = await all(2);
  assert.deepEqual(deliveries.map((d) => d.event).sort(), ["build_finish", "ping"]);
  const ping = { ...hook, delivery_id: deliveries.find((d) => d.event === "ping").id };
  const { data: sent } = await rest.repos.getWebhookDelivery(ping);
  assert.equal(sent.request.payload.hook_id, made.id);
  assert.equal(sent.url, moved.url);
  assert.equal((await rest.repos.redeliverWebhookDelivery(ping)).status, 202);
  for (const end = Date.now() + 20_000; !(await rest.repos.getWebhookDelivery(ping)).data.redelivery; await sleep(50)) {
    assert.ok(Date.now() < end, "the redelivery is not in the log");
  }

  await refused(() => rest.repos.createWebhook({ ...repository, config: { url: moved.url } }), 422, /Hook already exists on this repository/);
  await refused(() => rest.repos.createWebhook({ ...repository, config: { url: "nowhere" } }), 422, /config\.url/);
  await refused(() => rest.repos.getWebhook({ ...repository, hook_id: 1 }), 404, /^Not Found/);
  await refused(() => rest.repos.listBranches(repository), 404, /^Not Found - https:/);
  assert.equal((await rest.repos.deleteWebhook(hook)).status, 204);
}
