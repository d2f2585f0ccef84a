// The mesh screen with what it may have to show: the agent's answers about its mesh are given by this file, all else is real.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";
import { emptyRepository } from "./fossil.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @type {import("./agent.mjs").Agent} */
let agent;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {any} */
let mesh;
/** @type {any[]} */
let trusted;
/** @type {any} */
let pairing;
/** @type {string[]} */
let asked;

const timeout = 60_000;
const ids = { studio: "5f".repeat(32), tablet: "a1".repeat(32), stranger: "0c".repeat(32), here: "7e".repeat(32) };
const ticket = `edgesync${"ab23".repeat(24)}`;
const ago = (/** @type {number} */ seconds) => new Date(Date.now() - seconds * 1000).toISOString();

before(async () => {
  browser = await openBrowser();
  agent = await startAgent();
  await agent.call("POST", "/repositories/add", { path: emptyRepository(agent.folder, "notes") });
});

after(async () => {
  await browser?.close();
  await agent?.remove();
});

beforeEach(() => {
  asked = [];
  const waits = (/** @type {string} */ digit, /** @type {object} */ more) => ({ id: digit.repeat(64), name: null, digits: null, state: "meeting", by: "knock", why: null, since: ago(20), until: ago(-280), ...more });
  pairing = {
    offer: null,
    pending: [
      waits("e", { name: "new-laptop", digits: "042917", state: "comparing" }),
      waits("d", { state: "ended", by: "offer", why: "The digits differ. The two are not paired, and the offer is spent." }),
    ],
  };
  trusted = [
    { endpoint_id: ids.studio, name: "studio-mac", capabilities: "gio", from: "app", since: ago(86_400) },
    { endpoint_id: ids.tablet, name: null, capabilities: "gio", from: "flag", since: null },
  ];
  mesh = {
    role: "peer", role_from: "flag", peer_id: "laptop", endpoint_id: ids.here, cluster: "3f9a".repeat(8),
    addresses: [
      { kind: "client", url: "nats://127.0.0.1:41011", listen: "127.0.0.1:41011", local: true },
      { kind: "leaf", url: "nats-leaf://192.168.1.7:7422", listen: "0.0.0.0:7422", local: false },
      { kind: "route", url: "nats-route://192.168.1.7:7423", listen: "192.168.1.7:7423", local: false },
    ],
    tunnel: { on: true, from: "app", public: false, relays: ["https://relay.example.org/"], lan: false },
    ticket,
    joins: [
      { id: "1", url: "nats-route://studio.local:7423", from: "app", state: { kind: "connected", since: ago(7300) }, peer: ids.studio },
      { id: "2", url: "nats-leaf://a-host-with-a-rather-long-name.example.org:7422", from: "flag", state: { kind: "standby" }, peer: null },
      { id: "3", url: "nats-route://10.0.0.9:7423", from: "app", state: refused(), peer: null },
    ],
    mesh: { id: "3f".repeat(16), name: "studio", notify: null },
    members: [
      { endpoint_id: ids.studio, name: "studio-mac", capabilities: "gio", projects: {}, vouched_by: [ids.here], since: ago(90_000), told_at: ago(40), confirmed: true, repositories: [] },
      { endpoint_id: ids.tablet, name: "a-tablet-with-a-rather-long-name-that-somebody-gave-it", capabilities: "", projects: { ["4c".repeat(20)]: "go" }, vouched_by: [ids.studio, ids.here], since: ago(9000), told_at: null, confirmed: false, repositories: [] },
    ],
    revoked: [
      { endpoint_id: "d2".repeat(32), name: "lost-laptop", by: ids.here, at: ago(800), unheard: [ids.tablet] },
      { endpoint_id: "d3".repeat(32), name: null, by: ids.studio, at: ago(900_000), unheard: [] },
    ],
    bridges: [
      bridge("1c", { url: "https://fossil.example.org/notes", user: "ada", answered: 1204, failed: 1, last_request: ago(4) }),
      bridge("2d", { url: "http://a-server-with-a-rather-long-name.example.org:8080/projects/website", state: { ...refused(), message: "a-server-with-a-rather-long-name.example.org:8080 can't be reached: connection refused", hint: "Check the address and the network.", retry_at: null } }),
    ],
    peers: [
      peer("studio-mac", { endpoint_id: ids.studio, dialled: true, round_trip_ms: 3.2, last_ok: ago(12), repositories: ["notes"], role: "hub" }),
      peer("tablet", { endpoint_id: ids.tablet, link: "via", round_trip_ms: 41, last_ok: ago(5000), role: "leaf", error: { ...refused(), message: "the reply's signature does not match" } }),
      peer("stranger\u202etxt", { endpoint_id: ids.stranger, link: "leaf", trusted: false, capabilities: "", round_trip_ms: 0.4 }),
      peer("old-desktop", { endpoint_id: "bb".repeat(32), link: null, state: { kind: "gone", since: ago(4000) }, last_ok: ago(90_000) }),
      peer("nats-server", { endpoint_id: null, kind: "server", capabilities: "", role: null, link: "leaf", trusted: false, address: "10.0.0.2:7422" }),
    ],
    counters: {
      since: ago(90_000), messages_in: 12_345, messages_out: 2_210, bytes_in: 8_388_608, bytes_out: 1_048_576, announced: 40, heard: 128, pulls: 131, pulls_over_tunnel: 12,
      pulled_artifacts: 5_678, found_by: { announcement: 126, hello: 4, poll: 1 }, refused: 2, violations: 0, slow_consumers: 0, lost: 0,
    },
  };
});

/** @param {string} digits @param {object} more */
function bridge(digits, more) {
  const code = digits.repeat(20);
  return { id: code, url: "", user: null, project_code: code, from: "app", state: { kind: "connected", since: ago(4000) }, answered: 0, failed: 0, last_request: null, ...more };
}

/** @param {string} name @param {object} more */
function peer(name, more) {
  return {
    endpoint_id: null, name, kind: "agent", role: "peer", state: { kind: "connected", since: ago(4000) }, link: "route", dialled: false, address: "192.168.1.9:51020",
    round_trip_ms: null, tunnel: null, trusted: true, capabilities: "gio", projects: {}, repositories: [], available: [], heard_at: ago(3), last_ok: null, error: null, ...more,
  };
}

function refused() {
  return { kind: "error", code: "remote", message: "10.0.0.9:7423 refuses the connection", hint: "Is EdgeSync running there?", since: ago(600), retry_at: new Date(Date.now() + 30_000).toISOString() };
}

/** @param {Page} page */
async function answer(page) {
  await page.route("**/api/v1/mesh**", async (route) => {
    const request = route.request();
    const { pathname } = new URL(request.url());
    const place = pathname.slice("/api/v1/mesh".length);
    const body = request.postDataJSON();
    if (request.method() !== "GET") asked.push(`${request.method()} ${place} ${request.postData() ?? ""}`.trim());
    const reply = (/** @type {number} */ status, /** @type {unknown} */ json) => route.fulfill(json === undefined ? { status } : { status, json });
    if (request.method() === "GET") return reply(200, place === "" ? mesh : place === "/pairing" ? pairing : trusted);
    if (place === "/role") return reply(200, (mesh = { ...mesh, role: body.role, role_from: "app" }));
    if (place === "/tunnel") return reply(200, (mesh = { ...mesh, tunnel: { ...body, from: "app" } }));
    if (place === "/joins" && body.url.includes("taken")) return reply(409, { error: { code: "conflict", message: "this address is joined already", hint: null, retryable: false } });
    if (place === "/joins") {
      const join = { id: `${mesh.joins.length + 9}`, url: body.url, from: "app", state: { kind: "connecting", since: ago(0) }, peer: null };
      mesh = { ...mesh, joins: [...mesh.joins, join] };
      return reply(201, join);
    }
    if (place.startsWith("/joins/")) {
      mesh = { ...mesh, joins: mesh.joins.filter((/** @type {any} */ join) => `/joins/${join.id}` !== place) };
      return reply(204, undefined);
    }
    if (place === "/bridges" && body.url.includes("down")) return reply(502, { error: { code: "unreachable", message: "down.example.org can't be reached: connection refused", hint: "Check the address and the network.", retryable: true } });
    if (place === "/bridges") {
      const added = bridge("3e", { url: body.url, user: body.user ?? null, state: { kind: "connecting", since: ago(0) } });
      mesh = { ...mesh, bridges: [...mesh.bridges, added] };
      return reply(201, added);
    }
    if (place.startsWith("/bridges/")) {
      mesh = { ...mesh, bridges: mesh.bridges.filter((/** @type {any} */ each) => `/bridges/${each.id}` !== place) };
      return reply(204, undefined);
    }
    if (place === "/trusted") {
      const entry = { name: null, capabilities: "gio", from: "app", since: ago(0), ...body };
      trusted = [...trusted, entry];
      mesh = { ...mesh, peers: mesh.peers.map((/** @type {any} */ each) => (each.endpoint_id === body.endpoint_id ? { ...each, trusted: true } : each)) };
      return reply(201, entry);
    }
    trusted = trusted.filter((each) => `/trusted/${each.endpoint_id}` !== place);
    return reply(204, undefined);
  });
}

/**
 * Runs `act` on a page of its own.
 * @param {{ scheme?: "light" | "dark", width?: number, height?: number }} options
 * @param {string} place
 * @param {(page: Page) => Promise<void>} act
 */
async function on(options, place, act) {
  const { page, errors } = await openPage(browser, agent, options);
  try {
    await answer(page);
    await page.reload();
    await visit(page, agent, place);
    await act(page);
    assert.deepEqual(errors, []);
  } finally {
    await page.context().close();
  }
}

/** @param {Page} page */
const ready = (page) => page.getByRole("radio", { name: /^Peer/ }).waitFor({ state: "attached" });

for (const [key, width, height] of /** @type {const} */ ([["900", 900, 1400], ["720", 720, 1800], ["phone", 390, 2400]])) {
  for (const scheme of /** @type {const} */ (["light", "dark"])) {
    test(`the mesh in ${scheme} is whole and accessible at ${key}`, { timeout }, () =>
      on({ scheme, width, height }, "/mesh", async (page) => {
        await ready(page);
        await page.locator("[data-trusted]").first().waitFor();
        await inspect(page, `mesh-${key}-${scheme}`);
      }));
  }
}

for (const scheme of /** @type {const} */ (["light", "dark"])) {
  test(`a mesh of one says in ${scheme} what will be here`, { timeout }, () => {
    const nobody = { mesh: null, members: [], revoked: [], peers: [], joins: [], bridges: [] };
    mesh = { ...mesh, ...nobody, role: "leaf", addresses: mesh.addresses.slice(0, 1) };
    [trusted, pairing] = [[], { offer: null, pending: [] }];
    return on({ scheme, height: 1400 }, "/mesh", async (page) => {
      await page.getByText("The other agents will be here").waitFor();
      await page.getByText("A leaf has no address for others").waitFor();
      await inspect(page, `mesh-empty-${scheme}`);
    });
  });
}

test("a Fossil server is bridged and removed, and what is wrong with one says what to do", { timeout }, () =>
  on({ height: 1400 }, "/mesh", async (page) => {
    const section = page.getByRole("region", { name: "Bridges" });
    await section.getByText("1,204 answered, 1 failed, the last").waitFor();
    const down = section.locator("li", { hasText: "rather-long-name" });
    await down.getByText("can't be reached: connection refused").waitFor();
    await down.getByText("Check the address and the network.").waitFor();
    await section.getByRole("button", { name: "Bridge" }).scrollIntoViewIfNeeded();
    for (const scheme of /** @type {const} */ (["light", "dark"])) {
      await page.emulateMedia({ colorScheme: scheme });
      await inspect(page, `mesh-bridges-${scheme}`);
    }
    await section.getByLabel("Address of a Fossil server").fill("https://down.example.org/x");
    await section.getByRole("button", { name: "Bridge" }).click();
    await section.getByText("The server was not added").waitFor();
    await section.getByLabel("Address of a Fossil server").fill("https://new.example.org/x");
    await section.getByLabel("User there").fill("bob");
    await section.getByLabel("Password there").fill("hidden");
    await section.getByRole("button", { name: "Bridge" }).click();
    await section.getByText("as bob").waitFor();
    assert.equal(await section.getByLabel("Password there").inputValue(), "");
    await section.getByRole("button", { name: "Remove https://new.example.org/x" }).click();
    await section.getByText("as bob").waitFor({ state: "detached" });
    assert.deepEqual(asked.slice(1), [
      'POST /bridges {"url":"https://new.example.org/x","user":"bob","password":"hidden"}',
      `DELETE /bridges/${"3e".repeat(20)}`,
    ]);
  }));

test("another role says first what will happen, and is taken while all runs", { timeout }, () =>
  on({}, "/mesh", async (page) => {
    await ready(page);
    await page.getByRole("radio", { name: /^Peer/ }).focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await page.getByText("Nobody can come to this machine any more: 2 links from others will end.").waitFor();
    await page.getByText("A flag chose this role.").waitFor();
    await inspect(page, "mesh-role");
    assert.deepEqual(asked, []);
    await page.getByRole("button", { name: "Stay a peer" }).click();
    assert.ok(await page.getByRole("radio", { name: /^Peer/ }).isChecked());
    await page.getByRole("radio", { name: /^Hub/ }).click();
    await page.getByRole("button", { name: "Become a hub" }).click();
    await page.getByRole("button", { name: "Become a hub" }).waitFor({ state: "detached" });
    assert.deepEqual(asked, ['PUT /role {"role":"hub"}']);
    assert.ok(await page.getByRole("radio", { name: /^Hub.*in force/ }).isChecked());
  }));

test("a join is added, refused with its reason, and removed", { timeout }, () =>
  on({}, "/mesh", async (page) => {
    await ready(page);
    const field = page.getByLabel("Address of another agent");
    await field.fill("studio.local");
    assert.ok(await page.getByRole("button", { name: "Join", exact: true }).isDisabled());
    await field.fill("nats-route://taken.local:7423");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: "This address is joined already" }).waitFor();
    assert.equal(await field.inputValue(), "nats-route://taken.local:7423");
    await field.fill("nats-leaf://new.local:7422");
    await page.keyboard.press("Enter");
    await page.locator("[data-join='nats-leaf://new.local:7422']").getByText("Connecting").waitFor();
    assert.equal(await field.inputValue(), "");
    const tunnelled = `iroh:${ids.studio}`;
    await field.fill(tunnelled);
    await page.keyboard.press("Enter");
    await page.locator(`[data-join='${tunnelled}']`).getByText("Connecting").waitFor();
    await page.getByRole("button", { name: "Remove nats-route://10.0.0.9:7423" }).click();
    await page.locator("[data-join='nats-route://10.0.0.9:7423']").waitFor({ state: "detached" });
    assert.ok(asked.includes("DELETE /joins/3"));
  }));

test("computers on this network are found when somebody wants that, and told as such", { timeout }, async () => {
  const found = { id: "4", url: `iroh:${ids.studio}`, from: "network", state: { kind: "connected", since: ago(60) }, peer: ids.studio };
  mesh = { ...mesh, joins: [...mesh.joins, found] };
  await on({}, "/mesh", async (page) => {
    await ready(page);
    const row = page.locator(`[data-join='${found.url}']`);
    assert.match(await row.innerText(), /studio-mac[^]*on this network/);
    assert.equal(await row.getByRole("button", { name: /Remove/ }).count(), 0);
    const box = page.getByRole("checkbox", { name: "Find computers on this network" });
    assert.ok(!(await box.isChecked()));
    await box.check();
    await page.getByRole("button", { name: "Change it" }).click();
    await page.getByText("Computers that are trusted find each other on this network").waitFor();
    const [, wish] = asked.find((each) => each.startsWith("PUT /tunnel"))?.split("/tunnel ") ?? [];
    assert.deepEqual(JSON.parse(wish ?? "null"), { on: true, public: false, relays: ["https://relay.example.org/"], lan: true });
    await inspect(page, "mesh-found-light");
    await page.emulateMedia({ colorScheme: "dark" });
    await inspect(page, "mesh-found-dark");
  });
});

test("a stranger is trusted by its id, and let go again", { timeout }, () =>
  on({}, "/mesh", async (page) => {
    await ready(page);
    const stranger = page.locator("[data-peer^=stranger]");
    assert.match(await stranger.innerText(), /U\+202E/);
    await stranger.getByRole("button", { name: "Trust" }).click();
    await page.locator(`[data-trusted='${ids.stranger}']`).waitFor();
    await stranger.getByRole("button", { name: "Trust" }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Trust studio-mac no longer" }).click();
    await page.locator(`[data-trusted='${ids.studio}']`).waitFor({ state: "detached" });
    assert.equal(await page.locator(`[data-trusted='${ids.tablet}'] button[aria-label^=Trust]`).count(), 0);
  }));

test("the addresses and the id are copied whole", { timeout }, () =>
  on({}, "/mesh", async (page) => {
    await ready(page);
    const copied = () => page.evaluate(() => navigator.clipboard.readText());
    await page.getByRole("region", { name: "This machine" }).getByRole("button", { name: /endpoint id/ }).click();
    assert.equal(await copied(), ids.here);
    await page.getByRole("button", { name: /copy route address/ }).click();
    assert.equal(await copied(), "nats-route://192.168.1.7:7423");
    await page.getByRole("button", { name: /copy tunnel address/ }).click();
    assert.equal(await copied(), `iroh:${ticket}`);
  }));

for (const scheme of /** @type {const} */ (["light", "dark"])) {
  test(`the overview has the mesh as a picture in ${scheme}`, { timeout }, () =>
    on({ scheme }, "/", async (page) => {
      const picture = page.getByRole("img", { name: /studio-mac: Connected.*round trip 3.2 ms/ });
      await picture.waitFor();
      assert.equal(await picture.locator("line").count(), 4);
      assert.equal(await picture.locator(".through line").count(), 1);
      await inspect(page, `overview-mesh-${scheme}`);
      await page.getByRole("link", { name: "Mesh", exact: true }).last().click();
      await ready(page);
    }));
}
