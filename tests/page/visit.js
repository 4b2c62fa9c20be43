/*
 * visit.js
 *	  The page in a browser, as tests open it and look at it.
 *
 * With PAGE_SCREENSHOTS=directory pictures of each state are left there: wide and narrow, light and dark.
 */
"use strict";
const assert = require("node:assert");
const path = require("node:path");
const {Server, launch, run, sql, waitFor} = require("./page.js");

/* The page that is open, on the server that the test has put here, and what it has asked and complained of. */
const visit = {browser: null, server: null, page: null, requests: [], complaints: []};

/* Opens the page at a hash, in a context of its own, which prepare(context) may change before. */
async function open(hash, options = {}, prepare = null) {
	visit.browser ??= await launch();
	await visit.page?.context().close();
	const context = await visit.browser.newContext({viewport: {width: 1280, height: 900},
		timezoneId: "Europe/Berlin", locale: "en-US", ...options});
	await prepare?.(context);
	const page = await context.newPage();
	Object.assign(visit, {page, requests: [], complaints: []});
	page.on("request", request => visit.requests.push(request.url()));
	page.on("pageerror", error => visit.complaints.push(error.message));
	page.on("console", message => {
		if (message.type() === "error")
			visit.complaints.push(message.text());
	});
	await page.goto(visit.server.url + hash);
	return page;
}

const PHONE = {viewport: {width: 390, height: 844}, hasTouch: true, isMobile: true};

const text = selector => visit.page.textContent(selector);
const shown = () => visit.page.waitForSelector("#chart canvas");

/*
 * Waits until the list and the samples are there, and nothing more is asked for: what the list says of tags may ask for
 * other samples, which a timer of no length does.
 */
async function settled() {
	await shown();
	await waitFor("the list", async () => /\d tags/.test(await text("#tag-note")));
	await waitFor("all samples", () => visit.page.evaluate(async () => {
		for (let i = 0; i < 3; i++) {
			if (document.getElementById("chart").hasAttribute("aria-busy"))
				return false;
			await new Promise(resolve => setTimeout(resolve, 20));
		}
		return true;
	}));
}

const cell = (row, name) => text(`#values tbody tr:nth-child(${row}) .${name}`);

async function shownValue(row, name, expected) {
	let got;
	await waitFor(`${name} of row ${row} to be ${expected}`, async () => {
		got = await cell(row, name).catch(() => null);
		return got === String(expected);
	}).catch(error => {
		throw new Error(`${error.message}, it is ${got}`);
	});
}

/* Waits until a text of the page fits a pattern, and returns it. */
async function said(selector, pattern) {
	let got;
	return waitFor(`${selector} to say ${pattern}`, async () => {
		got = await text(selector).catch(() => "");
		return pattern.test(got) && got;
	}).catch(error => {
		throw new Error(`${error.message}, it says: ${got}`);
	});
}

function windowOf(url) {
	const parameters = new URLSearchParams(new URL(url).hash.slice(1));
	return [BigInt(parameters.get("start")), BigInt(parameters.get("end"))];
}

const secondsOff = (time, expected) => Math.abs(Number(time - expected) / 1e9);

function near(time, expected) {
	assert(secondsOff(time, expected) < 2, `${time} is ${secondsOff(time, expected)} s off ${expected}`);
}

/* Waits until the window is about that. */
async function windowNear(start, end) {
	await waitFor(`the window ${start} to ${end}`, () => {
		const [from, to] = windowOf(visit.page.url());
		return secondsOff(from, start) < 2 && secondsOff(to, end) < 2;
	});
}

/*
 * Pictures of the whole page in each width and colour.  If something is under way, as a hand that drags, what is seen of
 * the page is taken as wide as it is.  The page is as it was afterwards, but its plots were drawn anew.
 */
async function picture(name, atRest = true) {
	const {page} = visit;
	const size = page.viewportSize();
	if (!process.env.PAGE_SCREENSHOTS)
		return;
	for (const [width, height] of atRest ? [[1280, 900], [390, 844]] : [[size.width, size.height]]) {
		await page.setViewportSize({width, height});
		for (const colorScheme of ["light", "dark"]) {
			await page.emulateMedia({colorScheme});
			await page.waitForTimeout(200);
			await page.screenshot({path: path.join(process.env.PAGE_SCREENSHOTS, `${name}-${width}-${colorScheme}.png`), fullPage: atRest});
		}
	}
	await page.emulateMedia({colorScheme: null});
	await page.setViewportSize(size);
}

/*
 * The pixels of a plot that its lines have coloured, in columns from share from to share to of its width and in the
 * upper share of its height: {all, columns}, how many pixels and in how many of each hundred columns.
 */
function inked(from = 0, to = 1, plot = 0, upper = 1) {
	return visit.page.evaluate(([from, to, plot, upper]) => {
		const canvas = document.querySelectorAll("#chart canvas")[plot];
		const over = document.querySelectorAll("#chart .u-over")[plot];
		const scale = canvas.width / canvas.clientWidth;
		const left = (over.offsetLeft + over.clientWidth * from) * scale;
		const width = Math.floor(over.clientWidth * (to - from) * scale);
		const {data} = canvas.getContext("2d").getImageData(left, over.offsetTop * scale, width,
			Math.floor(over.clientHeight * upper * scale));
		const columns = new Set();
		let all = 0;
		for (let i = 0; i < data.length; i += 4) {
			const [r, g, b, alpha] = data.subarray(i, i + 4);
			if (alpha > 100 && Math.max(r, g, b) - Math.min(r, g, b) > 40) {
				all++;
				columns.add(i / 4 % width);
			}
		}
		return {all, columns: Math.round(100 * columns.size / width)};
	}, [from, to, plot, upper]);
}

/* Runs the tests on a server with a table of their own, named after the prefix, that has these messages. */
async function runOn(prefix, messages, tests) {
	const table = `${prefix}_${process.pid}`;
	sql(`CREATE TABLE ${table} (time bigint, tag text, values float8[]) USING historian`);
	visit.server = await new Server(table).ready();
	await visit.server.save(messages);
	await run(tests, async () => {
		await visit.browser?.close();
		await visit.server.stop();
		sql(`DROP TABLE ${table}`);
	});
}

module.exports = {PHONE, cell, inked, near, open, picture, runOn, said, settled, shown, shownValue, text, visit, windowNear, windowOf};
