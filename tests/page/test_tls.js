#!/usr/bin/node
/*
 * test_tls.js
 *	  The page over https, with an authority of one's own that the browser is told to accept: everything
 *	  comes over TLS, the token is asked for once, and the browser complains of nothing.
 */
"use strict";
const assert = require("node:assert");
const {spawnSync} = require("node:child_process");
const {createHash, createPublicKey, randomBytes} = require("node:crypto");
const fs = require("node:fs");
const https = require("node:https");
const os = require("node:os");
const path = require("node:path");
const {Server, launch, missing, run, sql, waitFor} = require("./page.js");

const why = missing("playwright-core");
if (why !== null) {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
}

const TOKEN = `hst_${randomBytes(24).toString("hex")}`;
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "page-tls-"));
const file = name => path.join(directory, name);

function openssl(...words) {
	const done = spawnSync("openssl", words, {encoding: "utf8", cwd: directory});
	assert.strictEqual(done.status, 0, done.stderr);
}

/* An authority, and a certificate for 127.0.0.1, which the server shows with that of the authority. */
function makeCertificates() {
	const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
	openssl("req", "-x509", ...key, "-days", "2", "-subj", "/CN=authority of the test", "-keyout", "ca.key", "-out", "ca.crt");
	openssl("req", "-new", ...key, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr");
	fs.writeFileSync(file("server.ext"), "subjectAltName=IP:127.0.0.1\n");
	openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
		"-extfile", "server.ext", "-out", "server.crt");
	fs.appendFileSync(file("server.crt"), fs.readFileSync(file("ca.crt")));
}

/* The flag of Chromium that accepts the authority, and nobody else. */
function accepting() {
	const spki = createPublicKey(fs.readFileSync(file("ca.crt"))).export({type: "spki", format: "der"});
	return `--ignore-certificate-errors-spki-list=${createHash("sha256").update(spki).digest("base64")}`;
}

let browser;
let server;
let page;
const asked = [];
const complaints = [];

const dialogOpen = () => page.evaluate(() => document.getElementById("token-dialog").open);

function ask(target) {
	return new Promise((resolve, reject) => {
		https.get(server.url + target, {ca: fs.readFileSync(file("ca.crt"))}, answer => {
			answer.resume();
			resolve(answer.statusCode);
		}).on("error", reject);
	});
}

const tests = [
	["the page asks for its token, and draws", async () => {
		page = await (await browser.newContext()).newPage();
		page.on("request", request => asked.push(request.url()));
		page.on("pageerror", error => complaints.push(error.message));
		page.on("console", message => {
			/* that the first requests are answered 401 is how the page knows that it needs a token */
			if (["error", "warning"].includes(message.type()) && !/status of 401/.test(message.text()))
				complaints.push(message.text());
		});
		await page.exposeFunction("complain", text => complaints.push(text));
		await page.addInitScript(() => document.addEventListener("securitypolicyviolation",
			event => window.complain(`${event.violatedDirective}: ${event.blockedURI}`)));
		await page.goto(`${server.url}#tag=boiler&start=0&end=9`);
		await waitFor("the question", dialogOpen);
		await page.fill("#token-input", TOKEN);
		await page.click("#token-form button");
		await page.waitForSelector("#chart canvas");
		await waitFor("the state", async () => await page.textContent("#status-database") === "connected");
		assert.strictEqual(await dialogOpen(), false);
		assert.strictEqual(await page.evaluate(() => window.isSecureContext), true);
	}],

	["once: not after a reload", async () => {
		await page.reload();
		await page.waitForSelector("#chart canvas");
		await waitFor("the state", async () => await page.textContent("#status-database") === "connected");
		assert.strictEqual(await dialogOpen(), false);
	}],

	["everything came over TLS from the server, and no policy was violated", async () => {
		assert.ok(asked.length > 20, `${asked.length} requests`);
		for (const address of asked)
			assert.ok(address.startsWith(server.url) || address.startsWith("data:"), address);
		assert.deepStrictEqual(complaints, []);
		/* the listeners do hear what is wrong */
		await page.evaluate(address => fetch(address).catch(() => null), server.url.replace("https:", "http:"));
		await waitFor("a complaint", () => complaints.some(text => text.includes("connect-src")));
	}],

	["without the flag the browser refuses the certificate", async () => {
		const other = await launch();
		const stranger = await (await other.newContext()).newPage();
		await assert.rejects(stranger.goto(server.url), /ERR_CERT_AUTHORITY_INVALID/);
		await other.close();
	}],
];

(async () => {
	const table = `page_tls_${process.pid}`;
	sql(`CREATE TABLE ${table} (time bigint, tag text, values float8[]) USING historian;
		INSERT INTO ${table} SELECT t, 'boiler', ARRAY[t] FROM generate_series(1, 9) t`);
	makeCertificates();
	fs.writeFileSync(file("tokens"), `reader read sha256:${createHash("sha256").update(TOKEN).digest("hex")}\n`, {mode: 0o600});
	server = new Server(table, 0, ["--tokens-file", file("tokens"), "--tls-certificate", file("server.crt"), "--tls-key", file("server.key")]);
	const match = await waitFor("the port", () => /listening on https:\/\/[^\s"]+:(\d+)/.exec(server.log));
	server.url = `https://127.0.0.1:${match[1]}/`;
	await waitFor("readyz", async () => await ask("readyz").catch(() => 0) === 200);
	browser = await launch([accepting()]);
	await run(tests, async () => {
		await browser.close();
		await server.stop();
		sql(`DROP TABLE ${table}`);
		fs.rmSync(directory, {recursive: true});
	});
})();
