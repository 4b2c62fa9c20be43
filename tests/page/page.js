/*
 * page.js
 *	  What the tests of the page share: a historiand of their own, Chromium, TAP.
 */
"use strict";
const {spawn, spawnSync} = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const ROOT = path.join(__dirname, "..", "..");
const MODULES = path.join(ROOT, "build", "page", "node_modules");
const DEADLINE_MS = 20000;

/* Why tests that need a package of npm cannot run, or null. */
function missing(name) {
	if (!fs.existsSync(path.join(MODULES, name)))
		return `${name} is missing; make test installs it, or scripts/install-npm-packages`;
	if (name === "playwright-core" && chromium() === null)
		return "chromium is missing";
	return null;
}

function chromium() {
	const found = spawnSync("sh", ["-c", "command -v chromium"], {encoding: "utf8"});
	return found.status === 0 ? found.stdout.trim() : null;
}

async function launch(more = []) {
	const {chromium: driver} = require(path.join(MODULES, "playwright-core"));
	/* Chromium's sandbox does not start for root, nor in most containers; the pages are ours. Names under
	   .example lead to this machine: a stranger's, for the tests of what other sites may do. */
	return driver.launch({executablePath: chromium(), args: ["--no-sandbox", "--disable-gpu",
		"--host-resolver-rules=MAP *.example 127.0.0.1", ...more]});
}

async function waitFor(what, condition) {
	const end = Date.now() + DEADLINE_MS;
	for (;;) {
		const result = await condition();
		if (result)
			return result;
		if (Date.now() > end)
			throw new Error(`waited ${DEADLINE_MS} ms in vain for: ${what}`);
		await new Promise(resolve => setTimeout(resolve, 50));
	}
}

/* historiand on a table of the database that HISTORIAN_CONNINFO names. */
class Server {
	constructor(table, port = 0, settings = []) {
		this.table = table;
		this.log = "";
		this.process = spawn(path.join(ROOT, "build", "historiand"), [...(settings.includes("--listen") ? [] : ["--listen", `127.0.0.1:${port}`]),
			"--database", process.env.HISTORIAN_CONNINFO, "--table", table, "--flush-interval", "100ms", ...settings]);
		this.process.stderr.on("data", data => {
			this.log += data;
		});
		this.ended = new Promise(resolve => this.process.on("exit", resolve));
	}

	async ready() {
		const match = await waitFor("the port", () => /listening on http:\/\/[^\s"]+:(\d+)/.exec(this.log));
		this.port = Number(match[1]);
		this.url = `http://127.0.0.1:${this.port}/`;
		await waitFor("readyz", async () => (await fetch(this.url + "readyz").catch(() => ({}))).ok);
		return this;
	}

	/* Messages [time as BigInt, tag, values]. */
	async save(messages) {
		const body = messages.map(([time, tag, values]) =>
			`{"time":${time},"tag":${JSON.stringify(tag)},"values":${JSON.stringify(values)}}\n`).join("");
		const answer = await fetch(this.url + "save?ack=committed", {method: "POST", body,
			headers: {"Content-Type": "application/x-ndjson"}});
		if (answer.status !== 204)
			throw new Error(`POST /save: ${answer.status} ${await answer.text()}`);
	}

	async stop() {
		this.process.kill("SIGTERM");
		return this.ended;
	}
}

function sql(statement) {
	const done = spawnSync("psql", ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d",
		process.env.HISTORIAN_CONNINFO, "-c", statement], {encoding: "utf8"});
	if (done.status !== 0)
		throw new Error(`SQL failed: ${done.stderr}`);
	return done.stdout.trim();
}

/* Runs the tests [title, function] in their order; prints TAP; ends the process. */
async function run(tests, after) {
	const wanted = process.argv.slice(2);
	let failed = 0;
	let number = 0;
	for (const [title, test] of tests) {
		if (wanted.length > 0 && !wanted.some(word => title.includes(word)))
			continue;
		number++;
		try {
			await test();
			console.log(`ok ${number} - ${title}`);
		} catch (error) {
			failed++;
			console.log(`not ok ${number} - ${title}`);
			console.log(String(error.stack).replace(/^/gm, "# "));
		}
	}
	console.log(`1..${number}`);
	await after();
	process.exit(failed > 0 ? 1 : 0);
}

module.exports = {MODULES, ROOT, Server, launch, missing, run, sql, waitFor};
