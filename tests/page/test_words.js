#!/usr/bin/node
/*
 * test_words.js
 *	  What the page says around the chart: where there is nothing to draw, of the tags, and what can
 *	  be taken along.
 *
 * Expected values are computed from what was posted (samples.js).
 */
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const net = require("node:net");
const {Server, missing, sql, waitFor} = require("./page.js");
const {SECOND, START, WINDOW, at, messages} = require("./samples.js");
const {PHONE, cell, inked, near, open: openPage, picture, runOn, said, settled, shown, text, visit, windowOf} = require("./visit.js");

const why = missing("playwright-core");
if (why !== null) {
	console.log(`1..0 # SKIP ${why}`);
	process.exit(0);
}

let page;

async function open(hash, options) {
	page = await openPage(hash, options);
}

/* Opens a view, and waits until the list and the samples are there. */
async function look(hash, options) {
	await open(`#${hash}`, options);
	await settled();
}

async function columns(from, to, plot) {
	return (await inked(from, to, plot)).columns;
}

/* What historiand is told of the database where a proxy of ours lies between, which can be cut. */
async function cutConnection() {
	const settings = Object.fromEntries([...process.env.HISTORIAN_CONNINFO.matchAll(/(\w+)=(?:'([^']*)'|(\S+))/g)]
		.map(([, name, quoted, plain]) => [name, quoted ?? plain]));
	const target = `${settings.host}/.s.PGSQL.${settings.port}`;
	const sockets = new Set();
	const keep = socket => {
		sockets.add(socket);
		socket.on("error", () => {});
		socket.on("close", () => sockets.delete(socket));
	};
	const proxy = net.createServer(socket => {
		const other = net.connect(target);
		keep(socket);
		keep(other);
		socket.pipe(other).pipe(socket);
		socket.on("close", () => other.destroy());
		other.on("close", () => socket.destroy());
	});
	await new Promise(resolve => proxy.listen(0, "127.0.0.1", resolve));
	const {port} = proxy.address();
	return {
		conninfo: `host=127.0.0.1 port=${port} user=${settings.user} dbname=${settings.dbname}`,
		cut() {
			proxy.close();
			sockets.forEach(socket => socket.destroy());
		},
		mend: () => new Promise(resolve => proxy.listen(port, "127.0.0.1", resolve)),
	};
}

const tests = [
	["what is not there is said in words", async () => {
		await look(`tag=t10&${WINDOW}`);
		await open(`#tag=t3&${WINDOW}`);
		await said("#chart-note", /^No sample was ever stored for the tag “t3”\.$/);
		assert.strictEqual(await page.isVisible("#error"), false);
		await open(`#tag=gapp&${WINDOW}`);
		await said("#chart-note", /^No sample was ever stored for the tag “gapp”\. There is “gap”\.$/);
		await picture("unknown");
		await open("#tag=nobody");
		await said("#chart-note", /^No sample was ever stored for the tag “nobody”\.$/);
		await open(`#tag=gap&tag=nobody&tag=nothing&${WINDOW}`);
		await said("#chart-note", /^No sample was ever stored for the tags “nobody” and “nothing”\.$/);
		assert(await columns(0.01, 0.32) > 95, "the tag that is there is drawn");
		await open(`#tag=null&${WINDOW}`);
		await said("#chart-note", /^Every row of “null” in this window has NULL as value 1: nothing was measured\.$/);
		await picture("null");
		for (const others of ["", "&tag=gap"]) {
			await open(`#tag=ended${others}&values=9&${WINDOW}`);
			await said("#chart-note", /^The rows of “ended” in this window have no value 9\./);
		}
		sql(`INSERT INTO ${visit.server.table} VALUES (${at(5)}, 'nan', '{NaN, 1}'), (${at(6)}, 'nan', '{Infinity}')`);
		await open(`#tag=nan&${WINDOW}`);
		await said("#chart-note", /^Every row of “nan” in this window has NaN or an infinity as value 1, which no chart can show\.$/);
		await open(`#tag=ended&start=${at(400)}&end=${at(500)}`);
		await said("#chart-note", /^“ended” has no sample in this window\. Its last sample is of 2020-03-09 11:19:32, [\d.]+ years ago\.$/);
		await picture("nothing");
		await page.click("#note-fit");
		await waitFor("all samples", async () => await columns(0.02, 0.98) > 95);
		assert.deepStrictEqual(windowOf(page.url()), [START, at(301)]);
		assert.deepStrictEqual(visit.complaints.filter(text => !/404|400/.test(text)), []);
	}],

	["a database that is away is said, and what was there stays", async () => {
		const old = visit.server;
		const database = await cutConnection();
		visit.server = await new Server(old.table, 0, ["--database", database.conninfo, "--query-timeout", "3s"]).ready();
		try {
			await look(`tag=ended&${WINDOW}`);
			database.cut();
			await waitFor("the status", async () => (await text("#status-database")) === "away");
			await page.selectOption("#span", "60");
			await said("#error", /^Service Unavailable: PostgreSQL cannot be reached \(503\)\. It is asked again/);
			assert(await columns(0.02, 0.98) > 95, "the chart shows another window than the controls");
			await picture("database-away");
			await open(`#tag=ended&${WINDOW}`);
			await said("#tag-note", /^The tags could not be loaded\. They are asked for again every few seconds\.$/);
			await said("#error", /^Service Unavailable: PostgreSQL cannot be reached \(503\)\. It is asked again/);
			await database.mend();
			await said("#tag-note", /tags$/);
			await shown();
			await waitFor("the error's end", async () => !await page.isVisible("#error"));
		} finally {
			await visit.server.stop();
			database.cut();
			visit.server = old;
		}
	}],

	["tags are in the order of people, in folders, and long names are cut in the middle", async () => {
		await look(`tag=t10&${WINDOW}`);
		await page.fill("#tag-search", "t1 t");
		await page.fill("#tag-search", "t");
		const names = () => page.locator("#tag-list .name").allTextContents();
		const found = (await names()).filter(name => /^t\d+$/.test(name));
		assert.deepStrictEqual(found, ["t1", "t2", "t10"]);
		await page.fill("#tag-search", "");
		assert((await names()).includes("plant/area-1"));
		assert.strictEqual(await page.locator("#tag-list input").count(), (await names()).length - 1);
		/* Into the list by keys: the folder opens with the right arrow, and closes with the left one. */
		await page.focus("#tag-list button");
		await page.keyboard.press("ArrowRight");
		assert.strictEqual(await page.getAttribute("#tag-list button", "aria-expanded"), "true");
		const pumps = (await names()).filter(name => name.startsWith("a-very"));
		assert.deepStrictEqual(pumps, Array.from({length: 15}, (_, i) => `a-very-long-name-of-a-pump-${i + 1}`));
		const cut = await page.evaluate(() => {
			const name = [...document.querySelectorAll("#tag-list .name")].find(name => name.textContent.endsWith("pump-10"));
			const [head, tail] = name.children;
			return {head: head.scrollWidth > head.clientWidth, tail: tail.scrollWidth > tail.clientWidth, text: tail.textContent,
				wraps: name.clientHeight > 30};
		});
		assert.deepStrictEqual(cut, {head: true, tail: false, text: "-a-pump-10", wraps: false});
		await page.keyboard.press("ArrowDown");
		await page.keyboard.press("Space");
		await waitFor("the second tag", async () => page.url().includes("pump-1"));
		await picture("folders");
		await page.focus("#tag-list button");
		await page.keyboard.press("ArrowLeft");
		assert.strictEqual(await page.getAttribute("#tag-list button", "aria-expanded"), "false");
		await said("#tag-list .folder", /1 of 15$/);
	}],

	["the thirteenth tag is refused with words that stay", async () => {
		const pumps = Array.from({length: 14}, (_, i) => `tag=plant/area-1/a-very-long-name-of-a-pump-${i + 1}`);
		await open(`#${pumps.join("&")}&${WINDOW}`);
		await said("#tag-note", /^The address names 14 tags; the first 12 are shown\.$/);
		await shown();
		await page.focus("#tag-list input[value='t1']");
		await page.keyboard.press("Space");
		await said("#tag-note", /^At most 12 tags can be shown at once\./);
		await page.check("#live");
		await new Promise(resolve => setTimeout(resolve, 2500));
		await said("#tag-note", /^At most 12 tags can be shown at once\./);
		assert.strictEqual(await page.isChecked("#tag-list input[value='t1']"), false);
		await picture("thirteenth");
		await page.uncheck("#tag-list input[value='plant/area-1/a-very-long-name-of-a-pump-1']");
		await said("#tag-note", /^\d+ tags$/);
	}],

	["the tags that the address names in vain are counted where the list is folded", async () => {
		const pumps = Array.from({length: 13}, (_, i) => `tag=plant/area-1/a-very-long-name-of-a-pump-${i + 1}`);
		await open(`#${pumps.join("&")}&${WINDOW}`, PHONE);
		await shown();
		assert.strictEqual(await page.isVisible("#tag-note"), false);
		assert(await page.isVisible("#tag-chosen"));
		await said("#tag-chosen", /^the first 12 of 13 in the address$/);
		await picture("thirteen-folded", false);
		await page.click("#tag-panel summary");
		await page.uncheck("#tag-list input[value='plant/area-1/a-very-long-name-of-a-pump-1']");
		await said("#tag-chosen", /^11 chosen$/);
	}],

	["a tag that is silent for too long is marked as stale", async () => {
		const now = BigInt(Date.now()) * 1000000n;
		await visit.server.save([60n, 40n, 20n, 0n].map(second => [now - second * SECOND, "fresh", [1]]));
		await look(`tag=ended&tag=fresh&start=${now - 600n * SECOND}&end=${now}`);
		const mark = tag => page.evaluate(tag => document.querySelector(`#tag-list input[value='${tag}']`)
			.closest("label").querySelector(".stale")?.textContent, tag);
		assert(/^stale, [\d.]+ y$/.test(await mark("ended")));
		assert.strictEqual(await mark("fresh"), undefined);
		await waitFor("the mark", async () => await cell(1, "state") === "stale");
		assert.strictEqual(await cell(2, "state"), "");
	}],

	["the first look is the last hour, or everything where that is empty", async () => {
		const now = BigInt(Date.now()) * 1000000n;
		const secondsAhead = time => Number(time) / 1e9 - Date.now() / 1e3;
		await visit.server.save([[now - 1800n * SECOND, "recent", [1]], [now - 1700n * SECOND, "recent", [2]]]);
		/* Without a tag in the address: not the first in the order of bytes, which has nothing of late. */
		await visit.server.save([[1000n, "!calibration", [1]]]);
		await open("");
		await shown();
		const chosen = await page.inputValue("#tag-list input:checked");
		assert(["fresh", "recent"].includes(chosen), chosen);
		const [from, to] = windowOf(page.url());
		near(to - from, 3600n * SECOND);
		assert(secondsAhead(to) < 30);
		await open("#tag=recent");
		await shown();
		const [start, end] = windowOf(page.url());
		near(end - start, 3600n * SECOND);
		assert(secondsAhead(end) < 30);
		await open("#tag=ended");
		await shown();
		assert.deepStrictEqual(windowOf(page.url()), [START, at(301)]);
		await page.click("#earlier");
		await page.click("#fit");
		await waitFor("everything", () => windowOf(page.url()).join() === [START, at(301)].join());
	}],

	["the samples as a table, as CSV, as a picture, and the address", async () => {
		await look(`tag=minutes&tag=t1&${WINDOW}`);
		await page.click("#as-table");
		assert.deepStrictEqual(await page.locator("#samples thead th").allTextContents(), ["Time (local)", "minutes", "t1"]);
		const first = await page.locator("#samples tbody tr").first().locator("th, td").allTextContents();
		assert.deepStrictEqual(first, ["2020-03-09 11:24:32", "600", ""]);
		assert.strictEqual(await page.isVisible("#chart"), false);
		assert(page.url().includes("show=table"));
		await picture("table");
		const fetched = async button => {
			const [download] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
			return {name: download.suggestedFilename(), body: fs.readFileSync(await download.path())};
		};
		const csv = await fetched("#csv");
		assert.strictEqual(csv.name, "minutes+t1-2020-03-09101432.csv");
		const lines = csv.body.toString().split("\r\n");
		assert.strictEqual(lines[0], "time_ns,time,minutes,t1");
		assert(lines.includes(`${at(60)},2020-03-09T10:15:32Z,60,`), lines.join("\n"));
		assert(lines.includes(`${at(61)},2020-03-09T10:15:33Z,,1`));
		assert.strictEqual(lines.length, 22);
		await page.click("#as-chart");
		await shown();
		const png = await fetched("#png");
		assert.strictEqual(png.name, "minutes+t1-2020-03-09101432.png");
		assert.strictEqual(png.body.subarray(1, 4).toString(), "PNG");
		assert(png.body.readUInt32BE(16) > 600 && png.body.readUInt32BE(20) > 300);
		if (process.env.PAGE_SCREENSHOTS)
			fs.writeFileSync(`${process.env.PAGE_SCREENSHOTS}/download.png`, png.body);
		await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
		await page.click("#link");
		await said("#link", /^Copied$/);
		assert.strictEqual(await page.evaluate(() => navigator.clipboard.readText()), page.url());
	}],

	["a name in CSV is data: quotes, commas, and what a spreadsheet would compute", async () => {
		await open("");
		const csv = await page.evaluate(async () => (await import("/page/download.js")).csvOf([
			{label: "=1+1", unit: "", times: [1n], ys: [5e-324]}, {label: "a \"b\", c", unit: "m,s", times: [1n], ys: [-0.5]}],
		{start: 0n, end: 9n}));
		assert.strictEqual(csv, "time_ns,time,'=1+1,\"a \"\"b\"\", c (m,s)\"\r\n1,1970-01-01T00:00:00.000000001Z,5e-324,-0.5\r\n");
	}],
];

runOn("words", messages, tests);
