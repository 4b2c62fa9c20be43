#!/usr/bin/node
/*
 * screenshots.js
 *	  Makes docs/page.png and docs/page-390.png of the server at HISTORIAND_URL, which it gives the
 *	  recordings of ../shared/data; make pictures runs it beside a server of its own.
 */
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const zlib = require("node:zlib");
const {ROOT, launch} = require("./page.js");

const RECORDINGS = path.join(ROOT, "../shared/data/skab-valves.ndjson.gz");
const BODY_LINES = 2000;
const KNOWN = {
	description: "Water circulation rig",
	names: ["vibration 1", "vibration 2", "current", "pressure", "temperature", "thermocouple", "voltage", "flow rate",
		"anomaly", "changepoint"],
	units: ["g", "g", "A", "bar", "°C", "°C", "V", "l/min", null, null],
};

const WINDOW = "start=1583748872000000000&end=1583751274000000000";
/* Values of unlike sizes; the temperature of two recordings that follow each other. */
const PICTURES = [
	{name: "page", width: 1280, height: 1000, hash: `#tag=valve1/0&tag=valve1/1&values=5,8&${WINDOW}`, at: 0.3},
	{name: "page-390", width: 390, height: 844, hash: `#tag=valve1/0&tag=valve1/1&values=5&${WINDOW}`, at: 0.7},
];

async function send(url, method, path, body, type) {
	const answer = await fetch(url + path, {method, body, headers: {"Content-Type": type}});
	if (!answer.ok)
		throw new Error(`${method} /${path}: ${answer.status} ${await answer.text()}`);
}

/* Stores the recordings, and what is known of their values. */
async function store(url) {
	const lines = zlib.gunzipSync(fs.readFileSync(RECORDINGS)).toString().trim().split("\n");
	for (let line = 0; line < lines.length; line += BODY_LINES)
		await send(url, "POST", "save?ack=committed", lines.slice(line, line + BODY_LINES).join("\n"), "application/x-ndjson");
	for (const tag of new Set(lines.map(line => JSON.parse(line).tag)))
		await send(url, "PUT", `tags/${tag}`, JSON.stringify(KNOWN), "application/json");
}

(async () => {
	const url = process.env.HISTORIAND_URL.replace(/\/?$/, "/");
	const browser = await launch();
	await store(url);
	for (const {name, width, height, hash, at} of PICTURES) {
		const page = await browser.newPage({viewport: {width, height}, timezoneId: "Europe/Berlin",
			isMobile: width < 500, hasTouch: width < 500});
		await page.goto(url + hash);
		await page.waitForSelector("#values tbody tr:nth-child(2)");
		/* Two readings of the metrics, so that there is a rate. */
		await page.waitForFunction(() => document.getElementById("status-rate").textContent !== "–");
		const box = await page.locator("#chart .u-over").first().boundingBox();
		const point = [box.x + box.width * at, box.y + box.height * 0.6];
		await (width < 500 ? page.touchscreen.tap(...point) : page.mouse.move(...point));
		await page.waitForSelector(".readout:not([hidden])");
		await page.screenshot({path: path.join(ROOT, "docs", name + ".png"), fullPage: width < 500});
		await page.close();
	}
	await browser.close();
})();
