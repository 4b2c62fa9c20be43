#!/usr/bin/node
/*
 * test_sites.js
 *	  What pages of other sites can do to the server, in a browser: nothing, unless --cors-origin names
 *	  them; and what its own page can.
 *
 * The other site is a server on another port (same-site for the browser), one under another name
 * (cross-site), and one whose name was made to lead to historiand (DNS rebinding).
 */
"use strict";
const assert = require("node:assert");
const http = require("node:http");
const {Server, launch, missing, run, sql, waitFor} = require("./page.js");

const why = missing("playwright-core");
if (why !== null) {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
}

const LOGGED = ["--log-level", "debug", "--log-format", "json"];

let browser;
let server;
let other;
let page;

const rows = () => sql(`SELECT string_agg(tag, ',' ORDER BY tag) FROM ${server.table}`);

/* What a historiand has answered since it logged the first bytes of its log: [path, status] each. */
function answers(from, of = server) {
	return of.log.slice(from).split("\n").filter(line => line.includes('"path":')).map(line => {
		const {path, status} = JSON.parse(line);
		return [path, status];
	});
}

async function fresh(url) {
	await page?.context().close();
	page = await (await browser.newContext()).newPage();
	await page.goto(url);
}

/* Opens the page of the other site under a name. */
async function visit(name) {
	await fresh(`http://${name}:${other.address().port}/`);
}

function listen(port = 0) {
	const site = http.createServer((request, response) => {
		response.setHeader("Content-Type", "text/html");
		response.end("<!doctype html><title>other</title><body>");
	}).listen(port);
	return new Promise(resolve => site.on("listening", () => resolve(site)));
}

/* A page at evil.example whose name then leads to a historiand: at the same address it has ended before. */
async function rebind(settings) {
	const site = await listen();
	const {port} = site.address();
	await fresh(`http://evil.example:${port}/`);
	site.closeAllConnections();
	await new Promise(resolve => site.close(resolve));
	return new Server(server.table, port, [...LOGGED, ...settings(port)]).ready();
}

/* Everything that a page can have its browser send without being asked. */
async function attack(base) {
	return page.evaluate(async base => {
		const message = tag => `{"time":1,"tag":"${tag}","values":[666]}`;
		const send = (path, options) => fetch(base + path, {mode: "no-cors", ...options}).then(() => 0, () => 0);
		const form = {"Content-Type": "application/x-www-form-urlencoded"};
		await Promise.all([
			send("save", {method: "POST", headers: form, body: message("form")}),
			send("save", {method: "POST", body: new Blob([message("blob")])}),
			send("save", {method: "POST", body: message("nobody"), referrerPolicy: "no-referrer"}),
			send("write", {method: "POST", body: "line v=666 1"}),
			send("save", {method: "POST", mode: "cors", headers: {"Content-Type": "application/json"}, body: message("cors")}),
			send("save", {method: "PUT", mode: "cors", body: message("put")}),
			send("tags", {}), send("tags", {mode: "cors"}),
			new Promise(resolve => {
				const image = new Image();
				image.onload = image.onerror = resolve;
				image.src = base + "export?tag=secret";
			}),
			new Promise(resolve => {
				const script = document.createElement("script");
				script.onload = script.onerror = resolve;
				script.src = base + "latest";
				document.head.append(script);
			}),
		]);
		navigator.sendBeacon(base + "save", message("beacon"));
		const element = document.createElement("form");
		const frame = document.createElement("iframe");
		const input = document.createElement("input");
		frame.name = "target";
		input.name = '{"time":1,"tag":"submitted","values":[666],"x';
		input.value = '":1}';
		element.append(input);
		Object.assign(element, {method: "post", action: base + "save", enctype: "text/plain", target: "target"});
		document.body.append(frame, element);
		await new Promise(resolve => {
			frame.onload = resolve;
			element.submit();
		});
	}, base);
}

const tests = [
	["a page of another site, or of another port, can neither write nor read", async () => {
		for (const name of ["localhost", "127.0.0.1", "evil.example"]) {
			const from = server.log.length;
			await visit(name);
			await attack(server.url);
			await waitFor("the answers", () => answers(from).length >= 12);
			assert.deepStrictEqual(answers(from).filter(([, status]) => status !== 403), [], name);
			assert.strictEqual(rows(), "secret", name);
			const read = await page.evaluate(base => fetch(base + "tags").then(answer => answer.text(), () => "no"), server.url);
			assert.strictEqual(read, "no", name);
		}
	}],

	["nor under a name that was made to lead here", async () => {
		const rebound = await rebind(() => []);
		const statuses = await page.evaluate(async () => {
			const status = async (path, options) => (await fetch(path, options)).status;
			return [await status("tags"), await status("export?tag=secret", {headers: {"Accept-Language": ""}}),
				await status("latest", {referrerPolicy: "no-referrer", headers: {"Accept-Language": "", "User-Agent": "curl/8"}}),
				await status("save", {method: "POST", body: '{"time":1,"tag":"rebound","values":[666]}'}),
				await status("metrics"), await status("")];
		});
		await rebound.stop();
		assert.deepStrictEqual(statuses, [403, 403, 403, 403, 403, 403]);
		assert.strictEqual(rows(), "secret");
	}],

	["the same where the server listens on all addresses", async () => {
		const wide = await rebind(port => ["--listen", `0.0.0.0:${port}`, "--insecure"]);
		const statuses = await page.evaluate(async () => {
			const status = async options => (await fetch("tags", options)).status;
			return [await status(), await status({referrerPolicy: "no-referrer",
				headers: {"Accept-Language": "", "User-Agent": "curl/8"}}),
				await status({method: "POST", headers: {"Accept-Language": "", "User-Agent": "curl/8"}})];
		});
		await wide.stop();
		assert.deepStrictEqual(statuses, [403, 403, 403]);
	}],

	["a link from another site opens the page, which works; a frame does not show it", async () => {
		let from = server.log.length;
		await visit("evil.example");
		await page.evaluate(base => {
			document.body.innerHTML = `<a href="${base}#tag=secret&start=0&end=9">look</a>`;
		}, server.url);
		await page.click("a");
		await page.waitForSelector("#chart canvas");
		await waitFor("the state", async () => await page.textContent("#status-database") === "connected");
		assert.deepStrictEqual(answers(from).filter(([, status]) => status >= 400), []);
		await visit("localhost");
		from = server.log.length;
		await page.evaluate(base => new Promise(resolve => {
			const frame = document.createElement("iframe");
			frame.onload = resolve;
			frame.src = base;
			document.body.append(frame);
		}), server.url);
		await waitFor("the answer", () => answers(from).length > 0);
		assert.deepStrictEqual(answers(from), [["/", 403]]);
	}],

	["a page that --cors-origin names reads and writes, and no other does", async () => {
		const {port} = other.address();
		const open = await new Server(server.table, 0, [...LOGGED, "--cors-origin", `http://friend.example:${port}`]).ready();
		const use = () => page.evaluate(async base => {
			const message = '{"time":6,"tag":"friend","values":[2]}';
			const call = async (path, options) => {
				const answer = await fetch(base + path, options);
				return [answer.status, answer.headers.get("etag") !== null, (await answer.text()).length > 0];
			};
			try {
				return [await call("save?ack=committed", {method: "POST", headers: {"Content-Type": "application/json"}, body: message}),
					await call("tags/friend", {method: "PUT", headers: {"Content-Type": "application/json"}, body: '{"names":["x"]}'}),
					await call("latest?tag=friend"), await call("latest?tag=friend", {headers: {"If-None-Match": '"x"', "X-Request-Id": "a"}}),
					await call("export?tag=friend"), await call("nothing")];
			}
			catch (error) {
				return String(error);
			}
		}, open.url);
		await visit("friend.example");
		assert.deepStrictEqual(await use(), [[204, false, false], [204, false, false], [200, true, true], [200, true, true],
			[200, false, true], [404, false, true]]);
		assert.strictEqual(rows(), "friend,secret");
		sql(`DELETE FROM ${server.table} WHERE tag = 'friend'`);
		for (const name of ["evil.example", "localhost"]) {
			await visit(name);
			assert.match(await use(), /Failed to fetch/, name);
		}
		assert.strictEqual(rows(), "secret");
		await open.stop();
	}],

	["the page's own origin may write, at each of the server's names", async () => {
		for (const name of ["127.0.0.1", "localhost", "a.localhost"]) {
			await fresh(`http://${name}:${server.port}/`);
			const status = await page.evaluate(async () => (await fetch("/save?ack=committed", {method: "POST",
				headers: {"Content-Type": "application/json"}, body: '{"time":5,"tag":"secret","values":[1]}'})).status);
			assert.strictEqual(status, 204, name);
		}
	}],
];

(async () => {
	const table = `sites_${process.pid}`;
	sql(`CREATE TABLE ${table} (time bigint, tag text, values float8[]) USING historian`);
	server = await new Server(table, 0, LOGGED).ready();
	await server.save([[1n, "secret", [42]]]);
	other = await listen();
	browser = await launch();
	await run(tests, async () => {
		await browser.close();
		other.close();
		await server.stop();
		sql(`DROP TABLE ${table}`);
	});
})();
