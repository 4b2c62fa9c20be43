#!/usr/bin/node
/*
 * test_token.js
 *	  The page of a server that asks for tokens: it asks once, keeps the token for the session of the tab,
 *	  and the token is in no address, log, cookie or storage that outlives the tab.
 */
"use strict";
const assert = require("node:assert");
const {createHash, randomBytes} = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const {Server, launch, missing, run, sql, waitFor} = require("./page.js");

const why = missing("playwright-core");
if (why !== null) {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
}

const TOKENS = {};
for (const name of ["reader", "other", "writer", "own"])
	TOKENS[name] = `hst_${randomBytes(24).toString("hex")}`;
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "token-"));
const file = path.join(directory, "tokens");
const line = (name, scope) => `${name} ${scope} sha256:${createHash("sha256").update(TOKENS[name]).digest("hex")}\n`;

let browser;
let server;
let context;
let page;
let asked; /* requests: [address, header] */
let dialogs;

async function open(hash = "#tag=plant1/a&start=0&end=9") {
	await context?.close();
	context = await browser.newContext();
	await visit(hash);
}

async function visit(hash) {
	page = await context.newPage();
	asked = [];
	dialogs = 0;
	page.on("request", request => asked.push([request.url(), request.headers().authorization ?? ""]));
	page.on("dialog", dialog => {
		dialogs++;
		dialog.dismiss();
	});
	await page.goto(server.url + hash);
}

const dialogOpen = () => page.evaluate(() => document.getElementById("token-dialog").open);

async function give(token) {
	await waitFor("the question", dialogOpen);
	await page.fill("#token-input", token);
	await page.click("#token-form button");
}

const tests = [
	["the page asks for a token, loads nothing before, and everything after", async () => {
		await open();
		await waitFor("the question", dialogOpen);
		assert.strictEqual(await page.locator("#token-wrong").isVisible(), false);
		await page.keyboard.press("Escape");
		assert.strictEqual(await dialogOpen(), true);
		await give(TOKENS.reader);
		await page.waitForSelector("#chart canvas");
		await waitFor("the state", async () => await page.textContent("#status-database") === "connected");
		assert.strictEqual(await dialogOpen(), false);
		assert.strictEqual(dialogs, 0);
	}],

	["once: not for later requests, nor after a reload", async () => {
		await page.reload();
		await page.waitForSelector("#chart canvas");
		assert.strictEqual(await dialogOpen(), false);
		assert.strictEqual(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
		assert.strictEqual(await page.evaluate(() => sessionStorage.length), 1);
		const shell = await page.textContent("#lines");
		assert.ok(shell.includes('curl --oauth2-bearer "$HISTORIAN_TOKEN"') && !shell.includes(TOKENS.reader), shell);
	}],

	["only in the header, and only to this server", async () => {
		for (const [address, header] of asked) {
			assert.ok(!address.includes("hst_"), address);
			assert.ok(header === "" || address.startsWith(server.url), address);
		}
		assert.ok(asked.some(([, header]) => header === `Bearer ${TOKENS.reader}`));
		assert.ok(!server.log.includes("hst_"));
	}],

	["another tab is asked again", async () => {
		await visit("#tag=plant1/a&start=0&end=9");
		await waitFor("the question", dialogOpen);
		await page.close();
	}],

	["a wrong token is said to be wrong, and the next one is taken", async () => {
		await open();
		await give("hst_wrong");
		await waitFor("that it is wrong", () => page.locator("#token-wrong").isVisible());
		await give("with blank \u00e9");
		assert.strictEqual(await dialogOpen(), true);
		await give(TOKENS.reader);
		await page.waitForSelector("#chart canvas");
	}],

	["a token that is removed is asked for again while the page is open", async () => {
		fs.writeFileSync(file, line("other", "read"));
		server.process.kill("SIGHUP");
		await give(TOKENS.other);
		await waitFor("the state", async () => await page.textContent("#status-database") === "connected" && !await dialogOpen());
		fs.writeFileSync(file, ["reader", "other"].map(name => line(name, "read")).join("") + line("writer", "write") + line("own", "read:plant1/"));
		server.process.kill("SIGHUP");
		await waitFor("the reload", () => /add token.*token=own/.test(server.log));
	}],

	["the live chart follows its tags by the token, which is not in the address", async () => {
		const end = BigInt(Date.now()) * 1000000n;
		await open(`#tag=plant1/a&live=1&start=${end - 60000000000n}&end=${end}`);
		await give(TOKENS.reader);
		await waitFor("the stream", async () => await page.textContent("#live-state") === "streaming");
		const streams = asked.filter(([address]) => address.includes("/stream?"));
		assert.ok(streams.every(([address, header]) => !address.includes("hst_") &&
			(header === "" || header === `Bearer ${TOKENS.reader}`)), JSON.stringify(streams));
		assert.strictEqual(streams.at(-1)[1], `Bearer ${TOKENS.reader}`);
	}],

	["a token with a prefix sees its tags", async () => {
		await open("#tag=plant1/a&start=0&end=9");
		await give(TOKENS.own);
		await page.waitForSelector("#chart canvas");
		await waitFor("the tags", async () => (await page.textContent("#tag-list")).includes("a"));
		assert.ok(!(await page.textContent("#tag-list")).includes("plant2"));
	}],

	["a token without the scope is told what is missing", async () => {
		await open();
		await give(TOKENS.writer);
		await waitFor("the error", async () => (await page.textContent("#error")).includes('the token "writer" does not have the scope read'));
	}],

	["it is forgotten by a button", async () => {
		await page.click("#token-forget");
		await waitFor("the question", dialogOpen);
		assert.strictEqual(await page.evaluate(() => sessionStorage.length), 0);
		assert.strictEqual(await page.locator("#token-forget").isVisible(), false);
	}],

	["another site's page cannot use it", async () => {
		await open();
		await give(TOKENS.reader);
		await page.waitForSelector("#chart canvas");
		const status = await page.evaluate(async address => (await fetch(address).catch(() => ({status: "no"}))).status,
			server.url.replace("127.0.0.1", "localhost") + "tags");
		assert.strictEqual(status, "no");
	}],
];

(async () => {
	const table = `token_${process.pid}`;
	sql(`CREATE TABLE ${table} (time bigint, tag text, values float8[]) USING historian;
		INSERT INTO ${table} SELECT t, g, ARRAY[t] FROM generate_series(1, 9) t, unnest('{plant1/a,plant2/b}'::text[]) g`);
	fs.writeFileSync(file, line("reader", "read") + line("writer", "write") + line("own", "read:plant1/"), {mode: 0o600});
	server = await new Server(table, 0, ["--tokens-file", file, "--log-level", "debug"]).ready();
	browser = await launch();
	await run(tests, async () => {
		await browser.close();
		await server.stop();
		sql(`DROP TABLE ${table}`);
		fs.rmSync(directory, {recursive: true});
	});
})();
