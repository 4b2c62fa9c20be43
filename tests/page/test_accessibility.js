#!/usr/bin/node
/*
 * test_accessibility.js
 *	  axe-core finds nothing to complain of in the page, in each of its states, light and dark.
 */
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const {MODULES, missing, waitFor} = require("./page.js");
const {PHONE, open, runOn, said, shown, text, visit} = require("./visit.js");

const why = missing("playwright-core") ?? missing("axe-core");
if (why !== null) {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
}

const START = 1583748872000000000n;
const SECOND = 1000000000n;
const WINDOW = `start=${START}&end=${START + 600n * SECOND}`;

/* States: what the address says, and what is done then. */
const chart = {hash: `tag=pump/1&tag=pump/2&values=1,2&${WINDOW}`, then: shown};
const states = {
	chart,
	readout: {...chart, then: async page => {
		await shown();
		await page.focus("#chart");
		await page.keyboard.press("Home");
		await page.waitForSelector(".readout:not([hidden])");
	}},
	only: {...chart, then: async page => {
		await shown();
		await page.click("#values tbody button");
	}},
	table: {...chart, hash: `${chart.hash}&show=table`, then: page => page.waitForSelector("#samples td")},
	unknown: {hash: `tag=nobody&${WINDOW}`, then: () => said("#chart-note", /never|ever/)},
	empty: {hash: `tag=pump/1&start=1&end=${SECOND}`, then: () => said("#chart-note", /no sample/)},
	wrong: {...chart, then: async page => {
		await shown();
		await page.fill("#to", "never");
		await page.press("#to", "Enter");
		await page.fill("#gap", "never");
		await page.press("#gap", "Enter");
	}},
	refused: {hash: `tag=pump/1&method=nonsense&${WINDOW}`, then: () => said("#error", /nonsense/)},
	folders: {...chart, then: async page => {
		await shown();
		await page.evaluate(() => document.getElementById("tag-panel").setAttribute("open", ""));
		await page.waitForSelector("#tag-list .folder");
	}},
};

async function findings(page) {
	await page.evaluate(fs.readFileSync(path.join(MODULES, "axe-core/axe.min.js"), "utf8"));
	const {violations, passes} = await page.evaluate(() => globalThis.axe.run());
	assert(passes.length > 20, "axe has checked next to nothing");
	return violations.map(({id, help, nodes}) => `${id}: ${help}: ${nodes.map(node => node.html).join("; ")}`);
}

const tests = Object.entries(states).map(([name, {hash, then}]) => [`no finding: ${name}`, async () => {
	for (const size of [{}, PHONE]) {
		const page = await open(`#${hash}`, size);
		await waitFor("the list", async () => /tags/.test(await text("#tag-note")));
		await then(page);
		for (const colorScheme of ["light", "dark"]) {
			await page.emulateMedia({colorScheme});
			assert.deepStrictEqual(await findings(page), [], `${colorScheme}, ${size.isMobile ? "phone" : "wide"}`);
		}
	}
}]);

tests.push(["axe finds what is wrong", async () => {
	const page = await open(`#${chart.hash}`);
	await shown();
	await page.evaluate(() => {
		document.getElementById("csv").textContent = "";
		document.getElementById("csv").removeAttribute("title");
		document.querySelector("label[for=tag-search]").remove();
	});
	const found = await findings(page);
	assert(found.some(text => text.startsWith("button-name")), found.join("\n"));
}]);

const messages = [];
for (let i = 1; i <= 30; i++) {
	for (const second of [1n, 300n, 600n])
		messages.push([START + second * SECOND, `pump/${i}`, [i, 100 * i]]);
}
runOn("accessibility", messages, tests);
