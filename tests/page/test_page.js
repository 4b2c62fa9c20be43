#!/usr/bin/node
/*
 * test_page.js
 *	  The page at / as people use it: by mouse, by keyboard, by touch, on a small screen.
 *
 * Expected values are computed here from what was posted.
 */
"use strict";
const assert = require("node:assert");
const {spawnSync} = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const {MODULES, ROOT, Server, missing, sql, waitFor} = require("./page.js");
const {PHONE, cell, inked, near, open: openPage, picture, runOn, said, settled, shown, shownValue, text, visit, windowNear,
	windowOf} = require("./visit.js");

const why = missing("playwright-core");
if (why !== null) {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
}

const START = 1583748872000000000n; /* 2020-03-09 10:14:32 UTC */
const SECOND = 1000000000n;
const COUNT = 600;
const ODD = "it's \"a\" $tag\\ `x`!";
const messages = [];
for (let i = 1; i <= COUNT; i++) {
	messages.push([START + BigInt(i) * SECOND, "pump/1", [i / 8, 1000 - i]]);
	messages.push([START + BigInt(i) * SECOND, "pump/2", [Math.sin(i / 50) * 100, i % 7]]);
}
messages.push([START + 100n * SECOND, ODD, [42]]);
const value1 = i => i / 8;

let page;

async function open(hash, options) {
	page = await openPage(hash, options);
}

const WINDOW = `start=${START}&end=${START + 600n * SECOND}`;

/* The lines that the page shows for tags. */
async function linesFor(tags) {
	await open("#" + new URLSearchParams([...tags.map(tag => ["tag", tag]), ["start", START],
		["end", START + 600n * SECOND], ["method", "last"]]));
	await shown();
	return waitFor("the lines", async () => {
		const all = await page.locator("#lines code").allTextContents();
		/* Until the page knows the table, the line for psql names another one. */
		return all.length === 3 && all[1].includes(visit.server.table) && all;
	});
}

/* What a shell prints for each. */
function runLines(lines) {
	const settings = {};
	for (const [, name, value] of process.env.HISTORIAN_CONNINFO.matchAll(/(\w+)=('[^']*'|\S+)/g))
		settings[{host: "PGHOST", port: "PGPORT", user: "PGUSER", dbname: "PGDATABASE"}[name]] =
			value.replace(/^'|'$/g, "");
	return lines.map(line => {
		const done = spawnSync("sh", ["-c", line.replace("curl -o export.csv", "curl -s")
			.replace("curl '", "curl -s '").replace('curl "', 'curl -s "').replace("psql -c", "psql -X -A -t -c")],
		{encoding: "utf8", env: {...process.env, ...settings}, maxBuffer: 1 << 28});
		assert.strictEqual(done.status, 0, `${line}\n${done.stderr}`);
		return done.stdout;
	});
}

const tests = [
	["loads: the first tag, all its time, its values; nothing from elsewhere", async () => {
		await open("");
		await shown();
		assert.strictEqual(await page.inputValue("#tag-list input:checked"), "pump/1");
		await open(`#tag=pump/1&${WINDOW}`);
		await shown();
		await shownValue(1, "at", value1(COUNT));
		await shownValue(1, "latest", value1(COUNT));
		assert((await inked()).all > 1000, "the chart is empty");
		await waitFor("the tag list", async () => (await text("#tag-note")) === "3 tags");
		await waitFor("the status", async () => (await text("#status-database")) === "connected");
		for (const url of visit.requests)
			assert(url.startsWith(visit.server.url), url);
		assert.deepStrictEqual(visit.complaints, []);
		await picture("load");
	}],

	["the samples asked for are those of GET /api, with the times exact", async () => {
		await open("#tag=pump/1&start=1583748872000000001&end=1583748873000000003");
		await shown();
		const api = new URL(await waitFor("the request", () => visit.requests.find(url => url.includes("/api"))));
		assert.strictEqual(api.searchParams.get("start"), "1583748872000000001");
		assert.strictEqual(api.searchParams.get("end"), "1583748873000000003");
		assert.strictEqual(api.searchParams.get("time"), "string");
		assert.strictEqual(await page.inputValue("#from"), "2020-03-09 11:14:32.000000001");
		await shownValue(1, "at", value1(1));
	}],

	["chooses by keyboard: search, arrow, space", async () => {
		await open(`#tag=pump/1&${WINDOW}`);
		await settled();
		await waitFor("the tag list", async () => (await text("#tag-note")) === "3 tags");
		await page.focus("#tag-search");
		await page.keyboard.type("UMP 2");
		assert.strictEqual(await text("#tag-note"), "1 of 3 tags");
		await page.keyboard.press("ArrowDown");
		await page.keyboard.press("Space");
		await waitFor("two series", async () => await page.locator("#values tbody tr").count() === 2);
		assert.strictEqual(await page.evaluate(() => document.activeElement.value), "pump/2");
		await shownValue(2, "latest", Math.sin(COUNT / 50) * 100);
		assert((await page.evaluate(() => location.hash)).includes("tag=pump%2F2"));
		await page.keyboard.press("ArrowUp");
		assert.strictEqual(await page.evaluate(() => document.activeElement.id), "tag-search");
		await page.fill("#tag-search", "no such");
		assert.strictEqual(await text("#tag-note"), "No tag has this in its name or description.");
		await picture("choose");
	}],

	["several values of an array, each on its own scale", async () => {
		await open(`#tag=pump/1&tag=pump/2&${WINDOW}`);
		await settled();
		await page.check("#element-list input[value='2']");
		await waitFor("four series", async () => await page.locator("#values tbody tr").count() === 4);
		await shownValue(2, "at", 1000 - COUNT);
		await page.selectOption("#scale", "own");
		await waitFor("the address", async () => page.url().includes("scale=own"));
		await page.click("#values tbody tr:nth-child(3) button");
		assert.strictEqual(await page.getAttribute("#values tbody tr:nth-child(3) button", "aria-pressed"), "true");
		await picture("scales");
	}],

	["names, units and limits of values, and the shape of a tag", async () => {
		const put = metadata => fetch(visit.server.url + "tags/pump/1", {method: "PUT", body: JSON.stringify(metadata),
			headers: {"Content-Type": "application/json"}}).then(answer => assert.strictEqual(answer.status, 204));
		const labels = () => page.locator("#element-list label").allTextContents();
		await put({description: "Feed <b>pump</b>", names: ["flow", "level"], units: ["m³/h", "%"], low: [0.5], high: [null, 95]});
		try {
			await open(`#tag=pump/1&values=1,2&${WINDOW}`);
			await shown();
			await waitFor("the names", async () => await cell(2, "element") === "level");
			assert.strictEqual(await cell(1, "element"), "flow");
			assert.strictEqual(await cell(1, "unit"), "m³/h");
			assert.strictEqual(await cell(2, "unit"), "%");
			assert.strictEqual(await page.getAttribute("#values tbody tr:nth-child(1) .element", "title"),
				"Feed <b>pump</b>: value 1, at least 0.5");
			assert.strictEqual(await page.getAttribute("#values tbody tr:nth-child(2) .element", "title"),
				"Feed <b>pump</b>: value 2, at most 95");
			assert.deepStrictEqual(await labels(), ["flow", "level"]);
			await picture("names");
			await page.fill("#tag-search", "feed");
			assert.strictEqual(await text("#tag-note"), "1 of 3 tags");
			/* A tag without names beside it: the boxes have numbers, and its rows too. */
			await page.fill("#tag-search", "");
			await page.check("#tag-list input[value='pump/2']");
			await waitFor("four series", async () => await page.locator("#values tbody tr").count() === 4);
			assert.strictEqual(await cell(3, "element"), "1");
			assert.strictEqual(await cell(3, "unit"), "");
			assert.deepStrictEqual(await labels(), ["1", "2"]);

			/* Few samples, so that steps and lines are far from each other. */
			const drawn = async interpolation => {
				await put({interpolation});
				await open(`#tag=pump/1&start=${START}&end=${START + 3n * SECOND}`);
				await settled();
				return page.evaluate(() => document.querySelector("#chart canvas").toDataURL());
			};
			const step = await drawn("step");
			const linear = await drawn("linear");
			assert(step !== linear, "a linear tag is drawn like one of steps");
			assert.strictEqual(await drawn(null), linear, "the method plot draws lines where nothing is known");
			assert.deepStrictEqual(visit.complaints, []);
		} finally {
			await put({});
		}
	}],

	["zooms by dragging, moves and goes back", async () => {
		await open(`#tag=pump/1&${WINDOW}`);
		await settled();
		const box = await page.locator("#chart .u-over").boundingBox();
		await page.mouse.move(box.x + box.width / 4, box.y + 50);
		await page.mouse.down();
		await page.mouse.move(box.x + box.width / 2, box.y + 60, {steps: 4});
		await picture("zooming", false);
		await page.mouse.up();
		await waitFor("the window", async () => windowOf(page.url())[0] !== START);
		const [start, end] = windowOf(page.url());
		near(start, START + 150n * SECOND);
		near(end, START + 300n * SECOND);
		await page.mouse.move(5, 5);
		await shownValue(1, "at", value1(Number((end - START) / SECOND)));
		await picture("zoomed");

		await page.keyboard.down("Shift");
		await page.mouse.move(box.x + box.width * 0.2, box.y + 50);
		await page.mouse.down();
		await page.mouse.move(box.x + box.width * 0.7, box.y + 60, {steps: 4});
		await page.mouse.up();
		await page.keyboard.up("Shift");
		await windowNear(START + 75n * SECOND, START + 225n * SECOND);

		await page.mouse.wheel(0, 100);
		await waitFor("the window", async () => windowOf(page.url())[1] - windowOf(page.url())[0] > 170n * SECOND);
		for (let i = 0; i < 3; i++)
			await page.click("#back");
		await waitFor("the first window", async () => windowOf(page.url()).join() ===
			[START, START + 600n * SECOND].join());
		assert(await page.isDisabled("#back"));
		assert.deepStrictEqual(visit.complaints, []);
	}],

	["zooms and moves by keyboard", async () => {
		await open(`#tag=pump/1&${WINDOW}`);
		await settled();
		await page.focus("#chart");
		for (const [key, from, to] of [["ArrowRight", 150n, 750n], ["ArrowLeft", 0n, 600n],
			["+", 150n, 450n], ["-", 0n, 600n], ["Backspace", 150n, 450n]]) {
			await page.keyboard.press(key);
			await waitFor(`${key} to show ${from} to ${to}`, async () => windowOf(page.url()).join() ===
				[START + from * SECOND, START + to * SECOND].join());
		}
	}],

	["every control is reached by Tab and has a name", async () => {
		await open(`#tag=pump/1&${WINDOW}`);
		await settled();
		await page.waitForSelector("#tag-list input");
		await page.evaluate(() => document.activeElement.blur());
		const reached = new Set();
		for (let i = 0; i < 60; i++) {
			await page.keyboard.press("Tab");
			const id = await page.evaluate(() => document.activeElement.id);
			reached.add(id);
		}
		for (const id of ["tag-search", "span", "method", "scale", "zone", "live", "chart", "earlier", "later",
			"zoom-in", "zoom-out", "from", "to"])
			assert(reached.has(id), `${id} is not reached`);
		const unnamed = await page.evaluate(() => [...document.querySelectorAll("input, select, button")]
			.filter(element => !(element.labels?.length || element.getAttribute("aria-label") ||
				element.textContent.trim())).map(element => element.outerHTML));
		assert.deepStrictEqual(unnamed, []);
	}],

	["the value under the cursor, with local time and UTC", async () => {
		await open(`#tag=pump/1&${WINDOW}`);
		await settled();
		const box = await page.locator("#chart .u-over").boundingBox();
		await page.mouse.move(box.x + box.width / 2, box.y + 50);
		await waitFor("the head", async () => (await text("#at-head")) === "At the cursor");
		const match = /^2020-03-09 11:(\d\d):(\d\d)(\.\d+)? \+01:00, 10:\1:\2\3?Z$/.exec(await text("#cursor-time"));
		assert(match !== null, await text("#cursor-time"));
		const second = Number(match[1]) * 60 + Number(match[2]) - (14 * 60 + 32);
		assert(Math.abs(second - 300) < 3, `${second}`);
		await shownValue(1, "at", value1(second));
		await page.selectOption("#zone", "utc");
		await waitFor("UTC", async () => (await page.inputValue("#from")) === "2020-03-09 10:14:32Z");
	}],

	["another method", async () => {
		await open(`#tag=pump/1&${WINDOW}`);
		await shown();
		await page.selectOption("#method", "max");
		await waitFor("the request", () => visit.requests.some(url => url.includes("method=max")));
		await shownValue(1, "at", value1(COUNT));
		await page.selectOption("#method", "lttb");
		await waitFor("the request", () => visit.requests.some(url => url.includes("method=lttb")));
		await shownValue(1, "at", value1(COUNT));
		await page.selectOption("#method", "count");
		await waitFor("a count", async () => ["0", "1", "–"].includes(await cell(1, "at")));
		await picture("method");
	}],

	["times typed in: dates, nanoseconds, and what is wrong as text", async () => {
		await open(`#tag=pump/1&${WINDOW}`);
		await shown();
		await page.fill("#from", "2020-03-09 11:15");
		await page.fill("#to", String(START + 90n * SECOND));
		await page.press("#to", "Enter");
		await waitFor("the window", async () => windowOf(page.url()).join() ===
			[START + 28n * SECOND, START + 90n * SECOND].join());
		for (const [wrong, words] of [["yesterday", "is not a time"], ["2020-02-30 10:00", "not in the calendar"],
			["2020-03-09 11:14:00", "must be before"], ["99999999999999999999", "outside of what 64 bits"]]) {
			await page.fill("#to", wrong);
			await page.press("#to", "Enter");
			const said = await waitFor(words, async () => {
				const said = await text("#window-error");
				return said.includes(words) && said;
			});
			assert(await page.isVisible("#window-error"), said);
		}
		await picture("wrong-time");
	}],

	["live: a message is seen without doing anything, and the rate and lag", async () => {
		const now = () => BigInt(Date.now()) * 1000000n;
		await visit.server.save([[now(), "live", [1]]]);
		await open("#tag=live&values=1");
		await shown();
		assert(await page.isChecked("#live"));
		for (const value of [17.25, 18.5]) {
			await visit.server.save([[now(), "live", [value]]]);
			await shownValue(1, "latest", value);
			await shownValue(1, "at", value);
		}
		await waitFor("a rate", async () => {
			await visit.server.save([[now(), "live", [2]]]);
			return /^0\.\d|[1-9]/.test(await text("#status-rate")) && / ms|s, 99% /.test(await text("#status-lag"));
		});
		await page.fill("#from", "half typed");
		await visit.server.save([[now(), "live", [3]]]);
		await shownValue(1, "latest", 3);
		assert.strictEqual(await page.inputValue("#from"), "half typed");
		assert((await text("#values .age")).includes("202"));
		await picture("live");
		await page.uncheck("#live");
		await page.waitForFunction(() => !location.hash.includes("live=1"));
	}],

	["errors are text: a tag without values, a server that is away and comes back", async () => {
		await open(`#tag=nobody&${WINDOW}`);
		await said("#chart-note", /^No sample was ever stored for the tag “nobody”\.$/);
		assert.strictEqual(await page.getAttribute("#error", "role"), "alert");
		await open(`#tag=pump/1&method=nonsense&${WINDOW}`);
		await waitFor("the error", async () => /Bad Request: .*nonsense.*\(400\)/.test(await text("#error")));
		await open(`#tag=pump/1&${WINDOW}`);
		await shown();
		const {port, table} = visit.server;
		await visit.server.stop();
		await waitFor("the error", async () => (await text("#error")).includes("historiand does not answer"));
		await waitFor("the state", async () => await text("#status-database") === "no answer");
		await picture("away");
		visit.server = await new Server(table, port).ready();
		await waitFor("the error's end", async () => !await page.isVisible("#error"));
		await waitFor("the state", async () => await text("#status-database") === "connected");
	}],

	["the lines for a shell give what is shown, also of an odd tag", async () => {
		for (const tags of [[ODD], ["pump/1", ODD]]) {
			const outputs = runLines(await linesFor(tags));
			const api = JSON.parse(outputs[0]);
			const odd = (api.series ?? [api]).find(one => one.tagName === ODD);
			assert.deepStrictEqual(odd.samples.at(-1).values, [42]);
			const rows = outputs[1].trim().split("\n");
			assert.strictEqual(rows.length, tags.length * odd.samples.length);
			assert(rows.at(-1).includes(tags.length > 1 ? "pump/1" : "{42}"), rows.at(-1));
			assert.strictEqual(outputs[2].split("\n")[0], "time,tag,values");
		}
	}],

	["controls in a tag, or in the address, do nothing to a shell that gets the lines", async () => {
		const tag = "x\u0003\ntouch owned\n\u001b[2J\u007f\u0085\u202e'\\";
		const hexed = Buffer.from(tag).toString("hex");
		sql(`INSERT INTO ${visit.server.table} VALUES (${START + SECOND}, convert_from('\\x${hexed}', 'UTF8'), '{7}')`);
		const lines = await linesFor([tag]);
		const odd = await page.evaluate(async () => (await import("/page/lines.js")).shellLines({tags: ["a"], start: 1n,
			end: 2n, samples: 3, elements: [1], method: "last\ntouch owned\n"}, "m\ntouch owned\n", 0n).flat());
		for (const text of [...lines, ...odd, ...await page.locator("#lines h3").allTextContents()])
			assert(!/[\u0000-\u001f\u007f-\u009f\u202e]/.test(text), JSON.stringify(text));
		const outputs = runLines(lines);
		sql(`DELETE FROM ${visit.server.table} WHERE tag = convert_from('\\x${hexed}', 'UTF8')`);
		assert.strictEqual(JSON.parse(outputs[0]).tagName, tag);
		assert.deepStrictEqual(JSON.parse(outputs[0]).samples.at(-1).values, [7]);
		assert(outputs[1].trim().endsWith("{7}"), outputs[1]);
		assert(outputs[2].includes("touch owned"), outputs[2]);
		const words = await page.evaluate(async tag => {
			const lines = await import("/page/lines.js");
			return [lines.shellWord(tag), lines.shellWord("it's"), lines.shellWord("a $b"), lines.shellWord("it's $b")];
		}, tag);
		for (const [index, text] of [tag, "it's", "a $b", "it's $b"].entries())
			assert.strictEqual(spawnSync("bash", ["-c", `printf %s ${words[index]}`], {encoding: "utf8"}).stdout, text);
	}],

	["lines are made without a page, too", async () => {
		const modules = fs.mkdtempSync(path.join(os.tmpdir(), "historian-lines-"));
		fs.cpSync(path.join(__dirname, "../../proxy/page"), modules, {recursive: true});
		fs.writeFileSync(path.join(modules, "package.json"), '{"type": "module"}');
		const made = spawnSync(process.execPath, ["--input-type=module", "-e", `
			globalThis.location = {origin: "http://historian:8080", hash: ""};
			const {shellLines} = await import(${JSON.stringify(path.join(modules, "lines.js"))});
			const view = {tags: ["x\\x03\\ntouch owned\\n"], start: 1n, end: 2n, samples: 3, method: "last"};
			console.log(JSON.stringify(shellLines(view, "measurement", 0n)));`], {encoding: "utf8"});
		fs.rmSync(modules, {recursive: true});
		assert.strictEqual(made.stderr, "");
		const lines = JSON.parse(made.stdout);
		assert.strictEqual(lines.length, 3);
		for (const [what, line] of lines)
			assert(!/[\u0000-\u001f]/.test(what + line), line);
		assert(lines[1][1].includes("x\\u0003\\u000atouch owned\\u000a"), lines[1][1]);
	}],

	["390 pixels: nothing is wider than the screen; fingers move and zoom", async () => {
		await open(`#tag=pump/1&tag=pump/2&${WINDOW}`, PHONE);
		await settled();
		await shownValue(1, "at", value1(COUNT));
		assert.strictEqual(await page.evaluate(() => document.documentElement.scrollWidth), 390);
		assert.strictEqual(await page.evaluate(() => document.getElementById("tag-panel").open), false);
		const small = await page.evaluate(() => [...document.querySelectorAll("button, select, #window input")]
			.filter(element => element.checkVisibility() && element.getBoundingClientRect().height < 36)
			.map(element => element.outerHTML));
		assert.deepStrictEqual(small, []);
		await picture("small");
		const box = await page.locator("#chart .u-over").boundingBox();
		const session = await page.context().newCDPSession(page);
		const touch = (type, ...places) => session.send("Input.dispatchTouchEvent", {type,
			touchPoints: places.map((x, id) => ({x: box.x + box.width * x, y: box.y + 80, id}))});
		await touch("touchStart", 0.8);
		await touch("touchMove", 0.55);
		await touch("touchMove", 0.3);
		await touch("touchEnd");
		await waitFor("the move", async () => windowOf(page.url())[0] > START + 250n * SECOND);
		near(windowOf(page.url())[0], START + 300n * SECOND);
		await touch("touchStart", 0.4, 0.6);
		await touch("touchMove", 0.3, 0.7);
		await touch("touchMove", 0.25, 0.75);
		await touch("touchEnd");
		await waitFor("the zoom", async () => {
			const [start, end] = windowOf(page.url());
			return end - start < 300n * SECOND;
		});
		const [start, end] = windowOf(page.url());
		near((start + end) / 2n, START + 600n * SECOND);
	}],

	["dark and light follow the system, with contrast", async () => {
		for (const colorScheme of ["light", "dark"]) {
			await open(`#tag=pump/1&tag=pump/2&values=1,2&${WINDOW}`, {colorScheme});
			await shown();
			const ratios = await page.evaluate(() => {
				const style = getComputedStyle(document.documentElement);
				const light = name => {
					const hex = style.getPropertyValue(name).trim().slice(1);
					const [r, g, b] = [0, 2, 4].map(i => parseInt(hex.slice(i, i + 2), 16) / 255)
						.map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
					return 0.2126 * r + 0.7152 * g + 0.0722 * b;
				};
				const ratio = (a, b) => {
					const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
					return (x + 0.05) / (y + 0.05);
				};
				const wanted = {"--text": 7, "--quiet": 4.5, "--bad": 4.5, "--accent": 4.5, "--field-edge": 3};
				for (let i = 1; i <= 8; i++)
					wanted[`--line-${i}`] = 3;
				return Object.entries(wanted).flatMap(([name, least]) => ["--surface", "--ground"]
					.map(ground => [name, ground, ratio(name, ground), least]));
			});
			for (const [name, ground, ratio, least] of ratios)
				assert(ratio >= least, `${colorScheme}: ${name} on ${ground} ${ratio.toFixed(2)} < ${least}`);
			await picture(colorScheme);
		}
	}],

	["an empty table: how to send a first message, which is then shown", async () => {
		const table = `page_empty_${process.pid}`;
		const old = visit.server;
		sql(`CREATE TABLE ${table} (time bigint, tag text, values float8[]) USING historian`);
		visit.server = await new Server(table).ready();
		try {
			await open("");
			await waitFor("the words", async () => (await text("#chart-note")).startsWith("No tag was stored yet."));
			await picture("empty");
			const line = await text("#lines code");
			assert.strictEqual(spawnSync("sh", ["-c", line.replace("curl ", "curl -sS ")]).status, 0);
			await shown();
			await shownValue(1, "latest", 71.3);
			assert.strictEqual(await page.inputValue("#tag-list input:checked"), "boiler");
		} finally {
			await visit.server.stop();
			visit.server = old;
			sql(`DROP TABLE ${table}`);
		}
	}],

	["docs/tutorial.md: its address shows both values of the hour that it stores", async () => {
		const table = `page_tutorial_${process.pid}`;
		const old = visit.server;
		const tutorial = fs.readFileSync(path.join(ROOT, "docs/tutorial.md"), "utf8");
		const command = tutorial.match(/```sh\n(awk [^]*?)```/)[1];
		const address = tutorial.match(/<http:\/\/127\.0\.0\.1:8080\/(#[^>]*)>/)[1];
		sql(`CREATE TABLE ${table} (time bigint, tag text, values float8[]) USING historian`);
		visit.server = await new Server(table).ready();
		try {
			const shell = spawnSync("sh", ["-ec", command.replace("http://127.0.0.1:8080/", visit.server.url)], {encoding: "utf8"});
			assert.strictEqual(shell.stdout, "204\n", shell.stderr);
			await open(address);
			await shown();
			await shownValue(1, "latest", Number((70 + 5 * Math.sin(3599 / 300)).toFixed(2)));
			await shownValue(2, "latest", Number((1 + 0.1 * Math.cos(3599 / 120)).toFixed(2)));
			assert.deepStrictEqual(windowOf(page.url()), [1767225600000000000n, 1767229200000000000n]);
		} finally {
			await visit.server.stop();
			visit.server = old;
			sql(`DROP TABLE ${table}`);
		}
	}],

	["times: text, parsing and ticks, with zones and before 1970", async () => {
		await open("");
		const wrong = await page.evaluate(async () => {
			const time = await import("/page/time.js");
			const wrong = [];
			const same = (got, expected) => {
				if (String(got) !== String(expected))
					wrong.push(`${got} instead of ${expected}`);
			};
			same(time.timeText(0n, true), "1970-01-01 00:00:00Z");
			same(time.timeText(-1n, true), "1969-12-31 23:59:59.999999999Z");
			same(time.timeText(-(2n ** 63n), true), "1677-09-21 00:12:43.145224192Z");
			same(time.timeText(2n ** 63n - 1n, true), "2262-04-11 23:47:16.854775807Z");
			same(time.timeText(1500000n, false), "1970-01-01 01:00:00.001500");
			same(time.offsetText(1593600000000000000n), "+02:00");
			for (const ns of [0n, -1n, 2n ** 63n - 1n, 1583748873123456789n]) {
				same(time.parseTime(time.timeText(ns, true), false), ns);
				same(time.parseTime(time.timeText(ns, false), false), ns);
			}
			for (const ns of [-(2n ** 63n), 2n ** 63n - 1n, 12345n])
				same(time.parseTime(String(ns), true), ns);
			return wrong;
		});
		assert.deepStrictEqual(wrong, []);
		const ticks = await page.evaluate(async () => {
			const time = await import("/page/time.js");
			const show = (start, span, utc) => time.tickLabels(
				time.ticks(start, start + span, 6, utc), utc).join(" ").replaceAll("\n", "/");
			const day = 86400000000000n;
			return [show(1583748872000000000n, 5000n, true), show(1583748872000000000n, day, false),
				show(1583748872000000000n, 4n * day, true), show(1583748872000000000n, 400n * day, true),
				show(-(2n ** 62n), 2n ** 63n - 1n, true)];
		});
		assert.deepStrictEqual(ticks, [
			"10:14:32.000000/2020-03-09 10:14:32.000001 10:14:32.000002 10:14:32.000003 10:14:32.000004 10:14:32.000005",
			"12:00/2020-03-09 18:00 00:00/2020-03-10 06:00",
			"2020-03-10 2020-03-11 2020-03-12 2020-03-13",
			"2020-04-01 2020-07-01 2020-10-01 2021-01-01 2021-04-01",
			"1850-01-01 1900-01-01 1950-01-01 2000-01-01 2050-01-01 2100-01-01"]);
	}],

	["the chart library is what npm has under the locked version", async () => {
		const lock = file => JSON.parse(fs.readFileSync(path.join(ROOT, file))).packages["node_modules/uplot"];
		assert.deepStrictEqual(lock("proxy/page/vendor/package-lock.json").integrity,
			lock("tests/page/package-lock.json").integrity);
		for (const name of ["dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE"])
			assert(fs.readFileSync(path.join(MODULES, "uplot", name)).equals(fs.readFileSync(
				path.join(ROOT, "proxy/page/vendor/uplot", path.basename(name)))), name);
	}],
];

runOn("page", messages, tests);
