#!/usr/bin/node
/*
 * test_live.js
 *	  The live chart: committed samples come by one stream, without being asked for; what happens where that does not work.
 *
 * SEED=1 test_live.js repeats a run of the random texts.
 */
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const {ROOT, Server, missing, waitFor} = require("./page.js");
const {PHONE, inked, open: openPage, picture, runOn, said, settled, shown, shownValue, text, visit} = require("./visit.js");

const why = missing("playwright-core");
if (why !== null) {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
}

const SECOND = 1000000000n;
const now = () => BigInt(Date.now()) * 1000000n;
const messages = [];
for (let i = 60n; i >= 1n; i--)
	messages.push([now() - i * SECOND, "a", [Number(i), 5]], [now() - i * SECOND, "b", [7]]);

let page;
let streams; /* the requests to /stream */

async function open(tags, more = "", options = undefined, route = null) {
	const end = now();
	if (route !== null) {
		/* The page must not open before the route is there. */
		await openPage("#tag=nobody&start=0&end=1");
		await visit.page.context().route("**/stream?*", route);
		page = await visit.page.context().newPage();
		await visit.page.close();
		visit.page = page;
		visit.requests = [];
		page.on("request", request => visit.requests.push(request.url()));
	} else
		page = await openPage("#tag=nobody&start=0&end=1", options);
	streams = [];
	page.on("request", request => {
		if (request.url().includes("/stream?"))
			streams.push({url: new URL(request.url()), lastId: request.headers()["last-event-id"]});
	});
	visit.requests.length = 0;
	await page.goto("about:blank");
	await page.goto(`${visit.server.url}#${tags.map(tag => `tag=${tag}`).join("&")}&live=1&start=${end - 120n * SECOND}&end=${end}${more}`);
	await shown();
}

const state = expected => said("#live-state", expected);
const noState = () => waitFor("no word about the stream", async () => await text("#live-state") === "");

/* What asks for samples, of the requests that were made. */
const asked = () => visit.requests.filter(url => /\/(api|latest)\?/.test(url));

/* Waits until the page has asked for nothing for a while, which it does once the stream is open and the list is there. */
async function quiet() {
	await state(/^streaming$/);
	await settled();
	await waitFor("no more requests", async () => {
		const before = asked().length;
		await new Promise(resolve => setTimeout(resolve, 1500));
		return asked().length === before;
	});
	visit.requests.length = 0;
}

async function save(value, tag = "a") {
	const time = now();
	await visit.server.save([[time, tag, [value, value + 0.5]]]);
	return time;
}

/* Makes the page believe that it is hidden, or seen again. */
const hide = hidden => page.evaluate(hidden => {
	Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
	document.dispatchEvent(new Event("visibilitychange"));
}, hidden);

const streamsOpen = async () => Number(/^historiand_streams (\d+)/m.exec(await (await fetch(visit.server.url + "metrics")).text())[1]);

const tests = [
	["a committed sample is drawn without being asked for, of all tags by one connection", async () => {
		await open(["a", "b"], "&values=1,2&scale=one");
		await quiet();
		assert.strictEqual(streams.length, 1);
		assert.deepStrictEqual(streams[0].url.searchParams.getAll("tag"), ["a", "b"]);
		assert.strictEqual(await streamsOpen(), 1);
		/* Of what was saved before, the last 24 seconds have values up to 24: they stay below the middle. */
		const drawn = async () => (await inked(0.8, 1, 0, 0.5)).all;
		assert.strictEqual(await drawn(), 0);
		for (const value of [40.25, 50.5]) {
			await save(value);
			await shownValue(1, "latest", value);
			await shownValue(1, "at", value);
			await shownValue(2, "at", value + 0.5);
		}
		await save(30, "b");
		await shownValue(3, "at", 30);
		await waitFor("the new samples in the chart", async () => await drawn() > 20);
		assert.deepStrictEqual(asked(), []);
		await picture("streaming");
	}],

	["the window goes on while nothing comes", async () => {
		const end = () => BigInt(new URLSearchParams(new URL(page.url()).hash.slice(1)).get("end"));
		const before = end();
		await waitFor("a later end", () => end() >= before + 2n * SECOND);
		assert.deepStrictEqual(asked(), []);
	}],

	["more samples than the chart shows are left to the server to choose from", async () => {
		await open(["a"]);
		await quiet();
		const start = now();
		await visit.server.save(Array.from({length: 3000}, (_, i) => [start + BigInt(i) * 1000n, "a", [i % 10]]));
		await waitFor("a request", () => asked().length > 0);
		await shownValue(1, "at", 9);
		await quiet();
	}],

	["after a restart of the server it goes on behind the last sample", async () => {
		await open(["a", "b"]);
		await quiet();
		const last = await save(61);
		await shownValue(1, "at", 61);
		const {port, table} = visit.server;
		await visit.server.stop();
		await state(/^reconnecting$/);
		await said("#error", /historiand does not answer/);
		visit.server = await new Server(table, port).ready();
		await save(62);
		await shownValue(1, "at", 62);
		await quiet();
		/* The state is asked for every two seconds. */
		await waitFor("the error's end", async () => !await page.isVisible("#error"));
		assert.strictEqual(streams.at(-1).lastId.split(",")[0], String(last));
		await save(63);
		await shownValue(1, "at", 63);
		assert.deepStrictEqual(asked(), []);
		assert.strictEqual(await streamsOpen(), 1);
	}],

	["a hidden page lets go of its stream, and asks for nothing", async () => {
		await open(["a"]);
		await quiet();
		await hide(true);
		await state(/^paused$/);
		await waitFor("the end of the stream", async () => await streamsOpen() === 0);
		await save(71);
		await new Promise(resolve => setTimeout(resolve, 2500));
		assert.deepStrictEqual(asked(), []);
		await hide(false);
		await shownValue(1, "at", 71);
		await quiet();
	}],

	["where it is not live, or the method computes values, there is no stream", async () => {
		await open(["a"], "&method=average");
		await state(/^asks each second$/);
		await save(81);
		await shownValue(1, "latest", 81);
		assert.deepStrictEqual(streams, []);
		await page.selectOption("#method", "plot");
		await state(/^streaming$/);
		await page.uncheck("#live");
		await noState();
		await waitFor("the end of the stream", async () => await streamsOpen() === 0);
	}],

	["where the stream is refused, cut off or kept back, the page asks each second", async () => {
		const ways = {
			429: route => route.fulfill({status: 429, contentType: "application/problem+json", headers: {"Retry-After": "1"},
				body: '{"title": "Too Many Requests", "detail": "too many reads", "status": 429}'}),
			404: route => route.fulfill({status: 404, contentType: "text/html", body: "<p>unknown"}),
			other: route => route.fulfill({status: 200, contentType: "text/html", body: "<p>sign in"}),
			cut: route => route.abort("connectionreset"),
			kept: () => {}, /* no answer comes */
		};
		let value = 90;
		for (const [name, route] of Object.entries(ways)) {
			await open(["a"], "", undefined, route);
			await (name === "kept" ? noState() : state(name === "cut" ? /^reconnecting$/ : /^asks each second$/));
			for (let i = 0; i < 2; i++) {
				await save(++value);
				await shownValue(1, "at", value);
			}
			assert(asked().length > 2, name);
			assert.strictEqual(await page.isVisible("#error"), false, name);
		}
	}],

	["on a phone", async () => {
		await open(["a"], "", PHONE);
		await quiet();
		assert(await page.isVisible("#live-state"));
		assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
	}],

	["events are read as the browser's EventSource reads them, in pieces of any length", async () => {
		const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
		console.log(`# seed ${seed}`);
		let drawn = seed;
		/* mulberry32 */
		const random = count => {
			drawn = drawn + 0x6D2B79F5 | 0;
			let t = Math.imul(drawn ^ drawn >>> 15, 1 | drawn);
			t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
			return ((t ^ t >>> 14) >>> 0) % count;
		};
		const lines = ["data: {}", "data:x", "data:  ü€😀", "data", "id: 5,6", "id", "id:7", "event: message", "event:", ": comment", ":", "", "",
			"", "strange: 1", "data: a:b", "retry: x", " data: no"];
		const ends = ["\n", "\r\n", "\r"];
		let text = "";
		for (let i = 0; i < 400; i++)
			text += lines[random(lines.length)] + ends[random(3)];
		text += "\n\ndata: last\n\n\n";
		const bytes = Buffer.from(text);
		const server = http.createServer((request, response) => {
			if (request.url === "/events.js") {
				response.setHeader("Content-Type", "text/javascript");
				response.end(fs.readFileSync(path.join(ROOT, "proxy/page/events.js")));
			} else if (request.url === "/stream") {
				response.setHeader("Content-Type", "text/event-stream");
				response.end(bytes);
			} else
				response.setHeader("Content-Type", "text/html").end("<!doctype html>");
		});
		await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
		await page.goto(`http://127.0.0.1:${server.address().port}/`);
		const sizes = Array.from({length: 3000}, () => 1 + random(9));
		const [theirs, ours] = await page.evaluate(async sizes => {
			const theirs = await new Promise(resolve => {
				const source = new EventSource("/stream");
				const events = [];
				source.onmessage = ({type, data, lastEventId}) => events.push({type, id: lastEventId, data});
				source.onerror = () => {
					source.close();
					resolve(events);
				};
			});
			const {EventReader} = await import("/events.js");
			const bytes = new Uint8Array(await (await fetch("/stream")).arrayBuffer());
			const reader = new EventReader();
			const decoder = new TextDecoder();
			const ours = [];
			for (let at = 0, i = 0; at < bytes.length; at += sizes[i++])
				ours.push(...reader.read(decoder.decode(bytes.subarray(at, at + sizes[i]), {stream: true})));
			return [theirs, ours];
		}, sizes);
		server.close();
		assert(theirs.length > 20, `${theirs.length} events`);
		assert.deepStrictEqual(ours, theirs);
	}],
];

runOn("live", messages, tests);
