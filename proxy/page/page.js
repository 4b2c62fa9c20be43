/*
 * page.js
 *	  The page: connects its parts with what the user does.
 *
 * One request for samples is under way at a time.  A newer view replaces it, and the server then
 * cancels the query of the older one.
 */
import {Chart} from "./chart.js";
import {drawLines, shellLines} from "./lines.js";
import * as server from "./server.js";
import {Status} from "./status.js";
import {TagList} from "./tag_list.js";
import {clampTime, parseTime, SECOND, timeText} from "./time.js";
import {Values} from "./values.js";
import {readAddress, view, writeAddress} from "./view.js";

const LIVE_MS = 1000;
const STATUS_MS = 2000;
const TAGS_MS = 30000;
const FIRST_TAG_MS = 3000;
const RETRY_MS = 3000;
const SETTLE_MS = 120;
const MAX_SAMPLES = 2000;
const COLORS = 8;
const DASHES = [undefined, [8, 4], [3, 3]];
const SHAPE = {last: "after", interpolated: "line", plot: "line", lttb: "line"};
/* Under these methods a sample is a value that was measured, and what is known of the tag says how it went on. */
const MEASURED = ["last", "plot", "lttb"];
const TAG_SHAPE = {step: "after", linear: "line"};

const $ = id => document.getElementById(id);

const earlier = []; /* windows to go back to */

let fresh = false; /* nothing was chosen by the address or by hand */
let known = null; /* all tags; null until they are loaded */
let series = [];
let shown = new Map(); /* tag to samples */
let latest = new Map();
let request = null;
let timer = 0;

const chart = new Chart($("chart"), {onWindow: moveTo, onCursor: drawCursor, onBack: goBack});
const values = new Values({
	onElements(elements) {
		view.elements = elements;
		changed();
	},
	onFocus(key) {
		view.focus = view.focus === key ? "" : key;
		drawSeries();
	},
});
const tagList = new TagList(tags => {
	fresh = false;
	view.tags = tags;
	fitWindow();
	changed();
});
const status = new Status();

/* The window */

/* The entry of a tag in the list of tags, which has what is known of it; empty if there is none. */
function about(tag) {
	return known?.find(row => row.tag === tag) ?? {};
}

/* The names of values that all shown tags have at the same places. */
function commonNames(count) {
	const rows = [...shown.keys()].map(about);
	return Array.from({length: count}, (_, index) => {
		const name = rows[0]?.names?.[index];
		return name && rows.every(row => row.names?.[index] === name) ? name : "";
	});
}

/* The entries of the chosen tags in the list of tags. */
function chosenRows() {
	return (known ?? []).filter(row => view.tags.includes(row.tag));
}

const latestOf = rows => rows.map(row => row.last).reduce((a, b) => a > b ? a : b);
const firstOf = rows => rows.map(row => row.first).reduce((a, b) => a < b ? a : b);

/* The first window: live if the last sample is of this minute, and otherwise all samples. */
function fitWindow() {
	if (view.start < view.end || view.tags.length === 0)
		return;
	const rows = chosenRows();
	if (rows.length === 0)
		return;
	const last = latestOf(rows);
	if (server.now() - last < 60n * SECOND && server.now() - last > -60n * SECOND) {
		view.live = true;
		setSpan(600n * SECOND);
	} else
		showEverything();
}

function showEverything() {
	const rows = chosenRows();
	if (rows.length === 0)
		return;
	/* A row at the start itself is before the window; whole seconds read better. */
	view.start = clampTime((firstOf(rows) / SECOND - 1n) * SECOND);
	view.end = clampTime((latestOf(rows) / SECOND + 1n) * SECOND);
	view.live = false;
}

/* A window so long that ends now where live, else with the last sample of what is shown. */
function setSpan(span) {
	const rows = chosenRows();
	view.end = view.live || rows.length === 0 ? server.now() : latestOf(rows);
	view.start = clampTime(view.end - span);
}

function keepWindow() {
	const last = earlier.at(-1);
	if (view.start < view.end && (last === undefined || last.start !== view.start || last.end !== view.end))
		earlier.push({start: view.start, end: view.end, live: view.live});
	if (earlier.length > 50)
		earlier.shift();
}

/* The chart's gestures; settled is false while one is under way. */
let gesture = false; /* one is under way */

function moveTo(start, end, settled) {
	if (!gesture)
		keepWindow();
	gesture = !settled;
	view.start = start;
	view.end = end;
	view.live = false;
	chart.setWindow(start, end);
	drawSettings();
	load(SETTLE_MS);
}

function goBack() {
	const window = earlier.pop();
	if (window === undefined)
		return;
	Object.assign(view, window);
	changed();
}

/* Loading */

/* Something of the view was chosen. */
function changed() {
	drawSettings();
	tagList.setChosen(view.tags);
	load(0);
}

function load(delay) {
	clearTimeout(timer);
	timer = setTimeout(loadNow, delay);
}

async function loadNow() {
	const began = performance.now();
	let next = null;
	request?.abort();
	request = new AbortController();
	const {signal} = request;
	if (view.live && view.start < view.end) {
		const span = view.end - view.start;
		view.end = server.now();
		view.start = clampTime(view.end - span);
	}
	view.samples = Math.max(50, Math.min(MAX_SAMPLES, chart.width()));
	writeAddress();
	drawSettings();
	if (view.tags.length === 0 || view.elements.length === 0 || view.start >= view.end) {
		shown = new Map();
		latest = new Map();
		showError("load", null);
		drawSeries();
		return;
	}
	$("chart").setAttribute("aria-busy", "true");
	try {
		[shown, latest] = await Promise.all([server.samples(view, signal), server.latest(view.tags, signal)]);
		showError("load", null);
		drawSeries();
		/* If answers are slow, the server is asked less often. */
		if (view.live)
			next = Math.max(LIVE_MS, 4 * (performance.now() - began));
	} catch (error) {
		if (error.name === "AbortError")
			return;
		showError("load", error.message);
		if (error.status === 404) {
			shown = new Map();
			latest = new Map();
			drawSeries();
		}
		if (error.status === undefined || error.status >= 500 || view.live)
			next = RETRY_MS;
	}
	$("chart").removeAttribute("aria-busy");
	if (next !== null)
		load(document.hidden ? Math.max(next, RETRY_MS) : next);
}

/* The list may be long, so that it is asked for seldom, and not while the page is hidden. */
async function loadTags() {
	if (document.hidden && known !== null) {
		setTimeout(loadTags, TAGS_MS);
		return;
	}
	try {
		known = await server.tags();
		tagList.setTags(known);
		showError("tags", null);
		drawSeries();
		if (fresh && view.tags.length === 0 && known.length > 0) {
			fresh = false;
			view.tags = [known[0].tag];
			closeTags();
			fitWindow();
			changed();
		} else if (view.start >= view.end && view.tags.length > 0) {
			fitWindow();
			changed();
		}
	} catch (error) {
		showError("tags", error.message);
	}
	drawNote();
	setTimeout(loadTags, known?.length > 0 ? TAGS_MS : FIRST_TAG_MS);
}

async function loadStatus() {
	const table = status.table;
	if (!document.hidden)
		showError("status", await status.refresh() ? null : server.NO_ANSWER);
	if (status.table !== table)
		drawShellLines();
	setTimeout(loadStatus, STATUS_MS);
}

/* Drawing */

const errors = new Map();

/* There is one text for each cause; null removes it. */
function showError(cause, text) {
	if (text === null)
		errors.delete(cause);
	else
		errors.set(cause, text);
	const all = [...new Set(errors.values())].join("\n");
	const element = $("error");
	if (element.textContent !== all)
		element.textContent = all;
	element.hidden = all === "";
}

function colors() {
	const style = getComputedStyle(document.documentElement);
	return Array.from({length: COLORS}, (_, index) => style.getPropertyValue(`--line-${index + 1}`).trim());
}

function drawSeries() {
	const palette = colors();
	let count = 1;
	series = [];
	for (const row of latest.values())
		count = Math.max(count, row.values.length);
	for (const tag of view.tags) {
		const samples = shown.get(tag);
		if (samples === undefined)
			continue;
		const times = samples.map(sample => sample.time);
		const row = about(tag);
		for (const sample of samples)
			count = Math.max(count, sample.values?.length ?? 0);
		for (const element of view.elements) {
			const index = series.length;
			const key = `${tag}\0${element}`;
			series.push({
				key, tag, element, times,
				label: `${tag}, ${row.names?.[element - 1] ?? `value ${element}`}`,
				name: row.names?.[element - 1] ?? "",
				unit: row.units?.[element - 1] ?? "",
				low: row.low?.[element - 1] ?? null,
				high: row.high?.[element - 1] ?? null,
				description: row.description ?? "",
				values: samples.map(sample => sample.values?.[element - 1] ?? null),
				color: palette[index % COLORS],
				dash: DASHES[Math.floor(index / COLORS) % DASHES.length],
				shape: MEASURED.includes(view.method) && TAG_SHAPE[row.interpolation] ||
					(SHAPE[view.method] ?? "before"),
				focused: key === view.focus,
			});
		}
	}
	count = Math.max(count, ...view.elements);
	values.drawElements(count, view.elements, commonNames(count));
	chart.start = view.start;
	chart.end = view.end;
	chart.setData(view.start, sameTimes(series), {own: view.own, utc: view.utc});
	$("values-part").hidden = series.length === 0;
	values.draw(series, latest, server.now(), view.utc);
	drawCursor(chart.plot?.cursor.idx ?? null);
	drawNote();
	drawShellLines();
}

/* Tags whose samples have the same times share one array, so that they make one table. */
function sameTimes(all) {
	const seen = [];
	for (const one of all) {
		const same = seen.find(times => times.length === one.times.length &&
			times.every((time, index) => time === one.times[index]));
		if (same === undefined)
			seen.push(one.times);
		else
			one.times = same;
	}
	return all;
}

function drawNote() {
	const missing = view.tags.filter(tag => !shown.has(tag));
	let text = "";
	if (view.tags.length === 0)
		text = known === null ? "" : known.length === 0
			? "No tag was stored yet. The line below sends a first message." : "Choose a tag from the list.";
	else if (view.elements.length === 0)
		text = "Choose which of the values to draw.";
	else if (series.length > 0 && series.every(one => one.values.every(value => value === null)))
		text = "There is nothing in this window.";
	else if (shown.size > 0 && missing.length > 0)
		text = `Never stored: ${missing.join(", ")}`;
	$("chart-note").textContent = text;
	$("chart-note").hidden = text === "";
}

function drawShellLines() {
	drawLines($("lines"), shellLines({...view, tags: shown.size > 0 ? view.tags : []}, status.table,
		server.now()));
}

function drawCursor(index) {
	const time = index === null ? null : chart.timeAt(index);
	const length = chart.data[0].length;
	values.drawAt(time, series.map((one, place) => chart.at(place, time === null ? length - 1 : index)),
		view.utc);
}

/* On a narrow screen the chart comes first. */
function closeTags() {
	if (matchMedia("(max-width: 800px)").matches)
		$("tag-panel").open = false;
}

const SPANS = [...$("span").options].map(option => option.value);

function drawSettings() {
	const span = String((view.end - view.start) / SECOND);
	const whole = (view.end - view.start) % SECOND === 0n;
	$("span").value = whole && SPANS.includes(span) ? span : "";
	$("method").value = view.method;
	$("scale").value = view.own ? "own" : "one";
	$("zone").value = view.utc ? "utc" : "local";
	$("live").checked = view.live;
	$("back").disabled = earlier.length === 0;
	for (const [id, time] of [["from", view.start], ["to", view.end]]) {
		if (document.activeElement !== $(id))
			$(id).value = view.start < view.end ? timeText(time, view.utc) : "";
	}
}

/* What the controls do */

$("settings").addEventListener("submit", event => event.preventDefault());
$("span").addEventListener("change", event => {
	keepWindow();
	if (event.target.value === "all")
		showEverything();
	else if (event.target.value !== "")
		setSpan(BigInt(event.target.value) * SECOND);
	changed();
});
$("method").addEventListener("change", event => {
	view.method = event.target.value;
	changed();
});
$("scale").addEventListener("change", event => {
	view.own = event.target.value === "own";
	changed();
});
$("zone").addEventListener("change", event => {
	view.utc = event.target.value === "utc";
	changed();
});
$("live").addEventListener("change", event => {
	keepWindow();
	view.live = event.target.checked;
	if (view.live)
		setSpan(view.end - view.start > 0n && view.end - view.start <= 86400n * SECOND
			? view.end - view.start : 600n * SECOND);
	changed();
});
$("window").addEventListener("submit", event => {
	event.preventDefault();
	const wrong = $("window-error");
	try {
		const start = parseTime($("from").value, view.utc);
		const end = parseTime($("to").value, view.utc);
		if (start >= end)
			throw new Error("“From” must be before “To”");
		wrong.hidden = true;
		wrong.textContent = "";
		keepWindow();
		Object.assign(view, {start, end, live: false});
		changed();
		$("from").value = timeText(start, view.utc);
		$("to").value = timeText(end, view.utc);
	} catch (error) {
		wrong.textContent = error.message;
		wrong.hidden = false;
	}
});
$("earlier").addEventListener("click", () => chart.pan(-0.5));
$("later").addEventListener("click", () => chart.pan(0.5));
$("zoom-in").addEventListener("click", () => chart.zoom(0.5));
$("zoom-out").addEventListener("click", () => chart.zoom(2));
$("back").addEventListener("click", goBack);
addEventListener("hashchange", () => {
	readAddress();
	changed();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawSeries);
document.addEventListener("visibilitychange", () => {
	if (!document.hidden && view.live)
		load(0);
});

fresh = location.hash === "";
readAddress();
if (view.tags.length > 0)
	closeTags();
changed();
loadTags();
loadStatus();
