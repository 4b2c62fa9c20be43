#!/usr/bin/node
/*
 * test_chart.js
 *	  The chart is honest: where lines are drawn and where not, what the cursor reads, what axes say.
 *
 * What is drawn is looked for in the pixels of the plot.  Expected values are computed from what
 * was posted (samples.js).
 */
"use strict";
const assert = require("node:assert");
const {missing, waitFor} = require("./page.js");
const {SECOND, START, WINDOW, at, messages} = require("./samples.js");
const {PHONE, cell, inked, open: openPage, picture, runOn, said, settled, shown, text, visit, windowOf} = require("./visit.js");

const why = missing("playwright-core");
if (why !== null) {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
}

let page;

async function open(hash, options, prepare) {
	page = await openPage(hash, options, prepare);
}

const metadata = (tag, known) => fetch(`${visit.server.url}tags/${tag}`, {method: "PUT", body: JSON.stringify(known),
	headers: {"Content-Type": "application/json"}}).then(answer => assert.strictEqual(answer.status, 204));

/* Opens a view, and waits until the list and the samples are there. */
async function look(hash, options) {
	await open(`#${hash}`, options);
	await settled();
}

async function columns(from, to, plot) {
	return (await inked(from, to, plot)).columns;
}

/* Moves the pointer over a plot, to a share of its width, and returns the text of the read-out. */
async function hover(share, plot = 0) {
	/* A plot that is drawn anew meanwhile has none. */
	const box = await waitFor("the plot", () => page.locator("#chart .u-over").nth(plot).boundingBox());
	await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
	await page.waitForSelector(".readout:not([hidden])");
	return page.locator(".readout tr").allInnerTexts();
}

/* The cells of the read-out's rows: [name, value, unit]. */
const readout = () => page.locator(".readout tr").evaluateAll(rows => rows.map(row =>
	[...row.cells].slice(1).map(cell => cell.textContent)));

/* Runs before the page's own scripts: the texts of the last drawing of a canvas, with their places. */
function keepTexts() {
	const {fillText, clearRect} = CanvasRenderingContext2D.prototype;
	window.drawnTexts = [];
	CanvasRenderingContext2D.prototype.clearRect = function(...area) {
		window.drawnTexts = [];
		return clearRect.apply(this, area);
	};
	CanvasRenderingContext2D.prototype.fillText = function(text, ...place) {
		/* uPlot moves the canvas' origin to the place of a text. */
		const {x} = this.getTransform().transformPoint({x: place[0], y: place[1]});
		window.drawnTexts.push({text, x});
		return fillText.call(this, text, ...place);
	};
}

const tests = [
	["a line ends where the data ends", async () => {
		await look(`tag=ended&${WINDOW}`);
		assert(await columns(0.01, 0.49) > 95, "the data is not drawn");
		assert.strictEqual(await columns(0.51, 1), 0, "something is drawn past the last sample");
		await picture("ended");
		/* Under a method that carries, what is carried is dotted. */
		await look(`tag=ended&method=last&${WINDOW}`);
		assert(await columns(0.01, 0.49) > 95);
		const dotted = await columns(0.51, 1);
		assert(dotted > 10 && dotted < 60, `${dotted} of 100 columns are drawn past the last sample`);
		await said("#chart-note", /^Dotted: carried from the last sample; nothing was measured there\.$/);
		await picture("carried");
		await look(`tag=ended&method=average&${WINDOW}`);
		assert(await columns(0.01, 0.49) > 95);
		assert.strictEqual(await columns(0.51, 1), 0);
	}],

	["a live chart does not draw a value of 2020 through now", async () => {
		const now = BigInt(Date.now()) * 1000000n;
		await open(`#tag=ended&live=1&start=${now - 600n * SECOND}&end=${now}`);
		await said("#chart-note", /^“ended” has no sample in this window. Its last sample is of 2020-03-09 11:19:32, [\d.]+ years ago\.$/);
		assert.strictEqual(await columns(0, 1), 0);
		await look(`tag=ended&live=1&method=last&start=${now - 600n * SECOND}&end=${now}`);
		assert(await columns(0, 1) < 60);
	}],

	["a value of a tag that steps holds, dotted past the last sample", async () => {
		await metadata("valve", {interpolation: "step", max_silence: "2m"});
		await look(`tag=valve&${WINDOW}`);
		assert(await columns(0.02, 0.41) > 95);
		const dotted = await columns(0.45, 1);
		assert(dotted > 10 && dotted < 60, `${dotted}`);
	}],

	["a gap longer than three times the usual distance is drawn as a gap", async () => {
		for (const method of ["plot", "lttb", "minmaxlttb", "average", "max"]) {
			await look(`tag=gap&method=${method}&${WINDOW}`);
			assert(await columns(0.01, 0.32) > 95, method);
			assert(await columns(0.64, 0.99) > 95, method);
			assert.strictEqual(await columns(0.34, 0.63), 0, method);
		}
		await picture("gap");
		/* Beside another tag, whose samples have times of their own. */
		await look(`tag=gap&tag=short&scale=one&${WINDOW}`);
		assert.strictEqual(await columns(0.34, 0.63), 0);
		await look(`tag=gap&method=last&${WINDOW}`);
		const dotted = await columns(0.35, 0.62);
		assert(dotted > 10 && dotted < 60, `${dotted} of 100 columns of the gap are drawn`);
	}],

	["the gap is what the address, the user or the tag says", async () => {
		await look(`tag=gap&gap=4m&${WINDOW}`);
		assert(await columns(0.34, 0.63) > 95, "a gap of three minutes is shorter than four");
		await page.fill("#gap", "150s");
		await page.press("#gap", "Enter");
		await waitFor("the gap", async () => await columns(0.34, 0.63) === 0);
		assert(page.url().includes("gap=150s"));
		await page.fill("#gap", "off");
		await page.press("#gap", "Enter");
		await waitFor("no gap", async () => await columns(0.34, 0.63) > 95);
		await page.fill("#gap", "soon");
		await page.press("#gap", "Enter");
		await said("#gap-error", /^“soon” is not a length of time such as 90s or 1h30m$/);
		await metadata("gap", {max_silence: "4m"});
		try {
			await look(`tag=gap&${WINDOW}`);
			await waitFor("no gap", async () => await columns(0.34, 0.63) > 95);
		} finally {
			await metadata("gap", {});
		}
	}],

	["a line goes on to samples beside the window", async () => {
		await look(`tag=minutes&start=${at(190)}&end=${at(220)}`);
		await waitFor("the line", async () => await columns(0.01, 0.99) > 95);
		await said("#chart-note", /^“minutes” has no sample in this window; the line is between those beside it\./);
		await look(`tag=minutes&start=${at(620)}&end=${at(640)}`);
		assert.strictEqual(await columns(0, 1), 0);
	}],

	["a line goes on to samples beside the window, though the list of tags comes while samples are loaded", async () => {
		let listed;
		const list = new Promise(resolve => {
			listed = resolve;
		});
		let counted;
		const count = new Promise(resolve => {
			counted = resolve;
		});
		/* The request for the number of samples is the last one; it is answered when the list has been shown. */
		const route = async context => {
			await context.route("**/tags?*", async held => {
				await count;
				await held.continue();
			});
			await context.route("**/api?*", async held => {
				if (held.request().url().includes("method=count")) {
					counted();
					await list;
				}
				await held.continue();
			});
		};
		await open(`#tag=minutes&start=${at(190)}&end=${at(220)}`, {}, route);
		await waitFor("the list", async () => /\d tags/.test(await text("#tag-note")));
		listed();
		await waitFor("the line", async () => await columns(0.01, 0.99).catch(() => 0) > 95);
	}],

	["the chart keeps the peaks of the value that is drawn", async () => {
		await look(`tag=peak&values=2&${WINDOW}`);
		assert(visit.requests.some(url => url.includes("method=plot") && url.includes("value=2")));
		await hover(333.5 / 600);
		assert.deepStrictEqual((await readout())[0].slice(1, 2), ["1000000"]);
		await page.click("#as-table");
		const cells = await page.locator("#samples tbody td").allTextContents();
		assert(cells.includes("1000000"), "the peak is lost");
	}],

	["the cursor reads all digits, with names and units, beside it", async () => {
		await metadata("precise", {names: ["pressure"], units: ["Pa"]});
		try {
			await look(`tag=precise&${WINDOW}`);
			const before = await page.locator("#chart").boundingBox();
			await hover(0.5);
			assert.deepStrictEqual(await readout(), [["precise, pressure", "1000000.0016", "Pa"]]);
			assert(/^2020-03-09 11:\d\d:\d\d$/.test(await text(".readout p")));
			assert.strictEqual(await cell(1, "at"), "1000000.0016");
			assert.strictEqual(await cell(1, "latest"), "1000000.0016");
			const box = await page.locator(".readout").boundingBox();
			const plot = await page.locator("#chart .u-over").boundingBox();
			const cursor = plot.x + plot.width / 2;
			assert(Math.abs(box.x - cursor) < 30, `the read-out is at ${box.x}, the cursor at ${cursor}`);
			await picture("readout", false);
			/* At the right border it is on the other side, within the chart. */
			await hover(0.97);
			const right = await page.locator(".readout").boundingBox();
			assert(right.x + right.width < plot.x + plot.width);
			assert.deepStrictEqual(await page.locator("#chart").boundingBox(), before, "the layout jumps");
			await page.mouse.move(5, 5);
			await page.waitForSelector(".readout", {state: "hidden"});
		} finally {
			await metadata("precise", {});
		}
	}],

	["in a gap and past the end the cursor says so", async () => {
		await look(`tag=gap&tag=minutes&${WINDOW}`);
		const rows = await hover(0.5);
		assert(rows[0].includes("–") && rows[0].includes("no value"), rows[0]);
		await look(`tag=ended&tag=minutes&${WINDOW}`);
		assert((await hover(0.8))[0].includes("no value"));
		await look(`tag=ended&method=last&${WINDOW}`);
		assert((await hover(0.8))[0].includes("carried"));
	}],

	["the keyboard moves the cursor from sample to sample", async () => {
		await look(`tag=minutes&${WINDOW}`);
		await page.focus("#chart");
		const value = () => readout().then(rows => rows[0]?.[1]);
		for (const [key, expected] of [["Shift+ArrowRight", "60"], ["Shift+ArrowRight", "120"], ["End", "600"],
			["Shift+ArrowRight", "600"], ["Shift+ArrowLeft", "540"], ["Home", "60"], ["Shift+ArrowLeft", "60"]]) {
			await page.keyboard.press(key);
			assert.strictEqual(await value(), expected, key);
		}
		assert(/^2020-03-09 11:15:32: minutes 60/.test(await text("#cursor-said")));
		await page.keyboard.press("Escape");
		await page.waitForSelector(".readout", {state: "hidden"});
	}],

	["on a phone a tap shows the values, and a finger that rests leads the cursor", async () => {
		await look(`tag=minutes&${WINDOW}`, PHONE);
		/* A hand on a plot that is drawn anew must begin again. */
		await page.waitForLoadState("networkidle");
		await page.locator("#chart").scrollIntoViewIfNeeded();
		const box = await page.locator("#chart .u-over").boundingBox();
		await page.touchscreen.tap(box.x + box.width * 0.5, box.y + 100);
		await page.waitForSelector(".readout:not([hidden])");
		assert.strictEqual((await readout())[0][1], "300");
		const box390 = await page.evaluate(() => {
			const {scrollWidth, clientWidth} = document.querySelector(".readout");
			return scrollWidth <= clientWidth;
		});
		assert(box390, "the read-out is cut");
		assert(!await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), "wider than the screen");
		await picture("touch", false);
		const session = await page.context().newCDPSession(page);
		const touch = (type, ...places) => session.send("Input.dispatchTouchEvent", {type,
			touchPoints: places.map((x, id) => ({x: box.x + box.width * x, y: box.y + 100, id}))});
		await touch("touchStart", 0.2);
		await waitFor("the cursor", async () => (await readout())[0][1] === "120");
		await touch("touchMove", 0.35);
		await touch("touchMove", 0.6);
		await waitFor("the cursor", async () => (await readout())[0][1] === "360");
		await touch("touchEnd");
		assert.deepStrictEqual(windowOf(page.url()), [START, at(600)]);
		await page.touchscreen.tap(box.x + 20, box.y + box.height + 200);
		await page.waitForSelector(".readout", {state: "hidden"});
	}],

	["values of unlike sizes have a chart each, and a click isolates one", async () => {
		await look(`tag=rig&values=1,2&${WINDOW}`);
		assert.strictEqual(await page.locator("#chart canvas").count(), 2);
		for (const plot of [0, 1])
			assert((await inked(0, 1, plot)).all > 300, `plot ${plot}`);
		assert.deepStrictEqual(await page.locator(".panel-title").allTextContents(), ["rig, value 1", "rig, value 2"]);
		await hover(0.5, 1);
		assert.strictEqual((await readout()).length, 2, "one cursor reads all charts");
		await picture("apart");
		await page.click("#values tbody tr:nth-child(2) button");
		await waitFor("one chart", async () => await page.locator("#chart canvas").count() === 1);
		assert.deepStrictEqual(await page.locator(".panel-title").allTextContents(), ["rig, value 2"]);
		assert.strictEqual(await page.getAttribute("#values tbody tr:nth-child(2) button", "aria-pressed"), "true");
		const address = page.url();
		await picture("only");
		await page.click("#values tbody tr:nth-child(2) button");
		await waitFor("both charts", async () => await page.locator("#chart canvas").count() === 2);
		await page.selectOption("#scale", "one");
		await waitFor("one chart", async () => await page.locator("#chart canvas").count() === 1);
		await open(new URL(address).hash);
		await shown();
		assert.deepStrictEqual(await page.locator(".panel-title").allTextContents(), ["rig, value 2"]);
	}],

	["labels of axes: huge, tiny, constant and precise values; none is cut", async () => {
		await look(`tag=ended&${WINDOW}`);
		const labels = await page.evaluate(async () => {
			const {axisExponent, axisLabels, axisRange, axisTicks} = await import("/page/numbers.js");
			return [[1e300, 2e300], [1e-300, 2e-300], [-1.7e308, 1.7e308], [5e-324, 1e-323], [42, 42], [0, 0], [1000000.0015, 1000000.0017],
				[0, 100], [-1e-5, 1e-5], [1e15, 1e15 + 1]].map(([least, greatest]) => {
				const exponent = axisExponent(Math.max(Math.abs(least), Math.abs(greatest)));
				const unit = 10 ** exponent;
				const [low, high] = axisRange(least / unit, greatest / unit);
				return [low < high, axisLabels(axisTicks(low, high, 8, least === greatest ? least / unit : null), exponent).join(" ")];
			});
		});
		assert(labels.every(([ascends]) => ascends), JSON.stringify(labels));
		const texts = labels.map(([, text]) => text);
		assert.strictEqual(texts[0], "1.0e300 1.2e300 1.4e300 1.6e300 1.8e300 2.0e300");
		assert.strictEqual(texts[1], "1.0e-300 1.2e-300 1.4e-300 1.6e-300 1.8e-300 2.0e-300");
		assert.strictEqual(texts[2], "-1.5e308 -1.0e308 -0.5e308 0 0.5e308 1.0e308 1.5e308");
		assert.strictEqual(texts[4], "42");
		assert.strictEqual(texts[5], "0");
		assert.strictEqual(texts[6], "1000000.00150 1000000.00155 1000000.00160 1000000.00165 1000000.00170");
		assert.strictEqual(texts[7], "0 20 40 60 80 100");
		for (const text of texts)
			assert.strictEqual(new Set(text.split(" ")).size, text.split(" ").length, text);
		/* A text that is cut reaches the border of the canvas. */
		for (const options of [{}, PHONE]) {
			for (const [start, end] of [[0, 600], [28, 628], [27.5, 87.5], [-43199, 43200], [100, 100.001], [-2e6, 3e6]]) {
				await look(`tag=precise&start=${at(start)}&end=${at(end)}`, options);
				const cut = await page.evaluate(() => {
					const canvas = document.querySelector("#chart canvas");
					const context = canvas.getContext("2d");
					return [0, canvas.width - 1].some(x => context.getImageData(x, 0, 1, canvas.height).data
						.some((value, index) => index % 4 === 3 && value > 0));
				});
				assert(!cut, `a label is cut from ${start} to ${end}`);
			}
		}
	}],

	["a time of the axis is written below its mark, and a window that was seen before has the same ones", async () => {
		for (const options of [{}, PHONE]) {
			await look(`tag=ended&${WINDOW}`, options);
			await page.context().addInitScript(keepTexts);
			const seen = [];
			for (const [start, end] of [[400, 500], [0, 600], [27.5, 87.5], [-43199, 43200], [100, 100.001], [400, 500]]) {
				await page.goto(`${visit.server.url}?${start}#tag=ended&start=${at(start)}&end=${at(end)}`);
				await settled();
				const {texts, left, width} = await page.evaluate(() => {
					const over = document.querySelector("#chart .u-over");
					return {texts: window.drawnTexts, left: over.offsetLeft * devicePixelRatio, width: over.clientWidth * devicePixelRatio};
				});
				const times = texts.filter(({text}) => /^\d\d:\d\d/.test(text));
				for (const {text, x} of times) {
					/* Berlin is an hour ahead of UTC then; the window may begin on the day before. */
					const [hours, minutes, seconds = 0] = text.split(":").map(Number);
					const day = 86400 / (end - start) * width;
					const of = (hours - 11) * 3600 + (minutes - 14) * 60 + seconds - 32;
					const off = (x - left - (of - start) / (end - start) * width) % day;
					assert(Math.min(Math.abs(off), Math.abs(Math.abs(off) - day)) < 2, `${text} is ${off} px off its place, from ${start} to ${end}`);
				}
				assert(times.length > 0, `no time from ${start} to ${end}`);
				seen.push(texts.map(({text}) => text).join(" "));
			}
			assert.strictEqual(seen.at(-1), seen[0]);
		}
	}],

	["huge, tiny and constant values have labels in the chart", async () => {
		for (const [tag, expected] of [["huge", "1.0e300 1.2e300 1.4e300 1.6e300 1.8e300 2.0e300"],
			["tiny", "1.0e-300 1.2e-300 1.4e-300 1.6e-300 1.8e-300 2.0e-300"], ["t10", "10"]]) {
			await open("");
			await page.context().addInitScript(keepTexts);
			await page.goto(`${visit.server.url}?x#tag=${tag}&${WINDOW}`);
			await settled();
			const texts = await page.evaluate(() => window.drawnTexts.map(({text}) => text));
			assert.strictEqual(texts.filter(text => /^[\d.e-]+$/.test(text) && !/^\d{4}-/.test(text)).join(" "), expected, tag);
			assert(await columns(0.02, 0.98) > 80, tag);
			await picture(tag);
		}
	}],

	["on a phone the chart comes before its controls, all of it on the first screen", async () => {
		await look(`tag=rig&${WINDOW}`, PHONE);
		const top = async selector => (await page.locator(selector).boundingBox()).y;
		const chart = await page.locator("#chart").boundingBox();
		for (const controls of ["#settings", "#elements", "#window"])
			assert(await top(controls) >= chart.y + chart.height, controls);
		assert(chart.y + chart.height <= PHONE.viewport.height, `it ends at ${chart.y + chart.height}`);
		await picture("phone");
		await look(`tag=rig&${WINDOW}`);
		assert(await top("#settings") < await top("#chart"), "there is room above it elsewhere");
	}],
];

runOn("chart", messages, tests);
