/*
 * page.js
 *	  The page: loads what the view needs, and draws it.
 *
 * Samples of one view are asked for at a time.  A newer view replaces it, and the server then
 * cancels the queries of the older one.
 *
 * A live view is asked for once, and then what is committed is added to it (live.js).  Where that does
 * not work, or the method does not show rows, it is asked for again and again.
 */
import {Chart} from "./chart.js";
import {bindControls, drawControls} from "./controls.js";
import {saveCsv, savePng} from "./download.js";
import {drawLines, shellLines} from "./lines.js";
import {Live} from "./live.js";
import {append, lastTimes, load as loadSamples} from "./load.js";
import {messages} from "./messages.js";
import {inOrder} from "./names.js";
import {drawSamples} from "./samples_table.js";
import {suitingScale} from "./scale.js";
import {makeSeries} from "./series.js";
import * as server from "./server.js";
import {Status} from "./status.js";
import {TagList} from "./tag_list.js";
import {bindToken} from "./token.js";
import {Values} from "./values.js";
import {readAddress, view, writeAddress} from "./view.js";
import * as windows from "./windows.js";

const LIVE_MS = 1000;
const DRAW_MS = 100; /* samples that come together are drawn together */
const RELOAD_MS = 60000; /* brings what came late, and the server's choice of what is drawn */
const KEPT_MS = 10000; /* samples that came are added to what is loaded for so long */
const STATUS_MS = 2000;
const TAGS_MS = 30000;
const FIRST_TAG_MS = 3000;
const RETRY_MS = 3000;
const SETTLE_MS = 120;
const MAX_SAMPLES = 2000;

const $ = id => document.getElementById(id);

let fresh = false; /* nothing was chosen by the address or by hand */
let known = null; /* all tags, in order; null until they are loaded */
let entries = new Map(); /* tag to its entry in known */
let series = []; /* all lines of the view */
let drawn = []; /* those in the chart */
let loaded = null; /* what load() has returned for the view */
let latest = new Map();
let request = null;
let timer = 0;
let came = []; /* samples of the last seconds: {at, row} */
let added = 0; /* samples since the view was loaded */
let loadedAt = 0;
let drawTimer = 0;

const chart = new Chart($("chart"), {onWindow: moveTo, onCursor: drawCursor, onBack: goBack});
const values = new Values({
	onElements(elements) {
		view.elements = elements;
		changed();
	},
	onOnly(key) {
		view.only = view.only === key ? "" : key;
		redraw();
	},
});
const tagList = new TagList(tags => {
	fresh = false;
	view.tags = tags;
	view.refused = 0;
	windows.firstWindow(chosenRows());
	changed();
});
const status = new Status();
const live = new Live({onSamples: takeSamples, onState: liveChanged});

/* The entry of a tag in the list of tags, which has what is known of it; empty if there is none. */
function about(tag) {
	return entries.get(tag) ?? {};
}

/* The entries of the chosen tags in the list of tags. */
function chosenRows() {
	return view.tags.map(tag => entries.get(tag)).filter(row => row !== undefined);
}

/* The chart's gestures; settled is false while one is under way. */
let gesture = false; /* one is under way */

function moveTo(start, end, settled) {
	if (!gesture)
		windows.keepWindow();
	gesture = !settled;
	Object.assign(view, {start, end, live: false});
	chart.setWindow(start, end);
	drawControls();
	load(SETTLE_MS);
}

function goBack() {
	if (windows.goBack())
		changed();
}

/* Loading */

/* Something of the view was chosen.  The chart shows its window at once, with the samples that there are. */
function changed() {
	if (view.start < view.end)
		chart.setWindow(view.start, view.end);
	drawControls();
	tagList.setChosen(view.tags, view.refused);
	load(0);
}

/* Something was chosen that needs no other samples. */
function redraw() {
	writeAddress();
	drawControls();
	draw();
}

function load(delay) {
	clearTimeout(timer);
	timer = setTimeout(loadNow, delay);
}

async function loadNow() {
	const began = performance.now();
	const listed = known !== null;
	let next = null;
	request?.abort();
	request = new AbortController();
	const {signal} = request;
	if (!streams() || !live.follows(view.tags))
		live.close();
	drawLive();
	if (document.hidden && view.live && loaded !== null)
		return; /* until it is seen */
	windows.followNow();
	view.samples = Math.max(50, Math.min(MAX_SAMPLES, chart.width()));
	writeAddress();
	drawControls();
	if (view.tags.length === 0 || view.elements.length === 0 || view.start >= view.end) {
		loaded = null;
		latest = new Map();
		showError("load", null);
		draw();
		return;
	}
	$("chart").setAttribute("aria-busy", "true");
	try {
		[loaded, latest] = await Promise.all([loadSamples({...view}, about, signal), server.latest(view.tags, signal)]);
		loadedAt = performance.now();
		showError("load", null);
		addSamples();
		draw();
		if (streams() && !live.follows(view.tags))
			live.follow(view.tags, lastTimes(view, loaded.lines));
		/* If answers are slow, the server is asked less often. */
		if (view.live && live.state !== "open")
			next = Math.max(LIVE_MS, 4 * (performance.now() - began));
		/* What is known of the tags, which says what is asked for, came while samples were loaded without it. */
		if (!listed && known !== null)
			next = 0;
	} catch (error) {
		if (error.name === "AbortError")
			return;
		showError("load", error.message);
		if (error.status === undefined || error.status >= 500 || view.live)
			next = RETRY_MS;
		else {
			loaded = null;
			draw();
		}
	}
	$("chart").removeAttribute("aria-busy");
	if (next !== null)
		load(document.hidden ? Math.max(next, RETRY_MS) : next);
}

/* What is committed */

/* Can what is committed be added to the view? */
function streams() {
	return view.live && server.selects(view.method) && view.tags.length > 0 && view.elements.length > 0 && !document.hidden;
}

/* Adds the samples that came lately to those that were just loaded, unless they are among them. */
function addSamples() {
	const since = performance.now() - KEPT_MS;
	came = came.filter(({at}) => at >= since);
	added = 0;
	for (const {row} of came)
		addSample(row);
}

function addSample(row) {
	if (append(loaded, view, row))
		added++;
	const known = latest.get(row.tag);
	if (known === undefined || known.time <= row.time)
		latest.set(row.tag, row);
}

function takeSamples(rows) {
	const at = performance.now();
	came.push(...rows.map(row => ({at, row})));
	if (loaded === null)
		return;
	rows.forEach(addSample);
	if (drawTimer === 0)
		drawTimer = setTimeout(drawLater, DRAW_MS);
}

function drawLater() {
	drawTimer = 0;
	if (live.state === "open" && loaded !== null)
		moveOn();
}

/* Shows a live view up to now, without asking for it; a finger that rests on it is not disturbed. */
function moveOn() {
	if (gesture)
		return;
	windows.followNow();
	writeAddress();
	drawControls();
	draw();
}

function liveChanged() {
	drawLive();
	/* What came before the stream was open, or until it was lost, is asked for. */
	if (view.live && live.state !== "opening" && live.state !== "off")
		load(0);
}

/* What keeps the view live, in a word. */
function drawLive() {
	const text = !view.live ? "" : document.hidden ? "paused" : {open: "streaming", lost: "reconnecting", opening: ""}[live.state] ??
		"asks each second";
	if ($("live-state").textContent !== text)
		$("live-state").textContent = text;
}

function tick() {
	const since = performance.now();
	came = came.filter(({at}) => at >= since - KEPT_MS);
	if (document.hidden || !view.live || live.state !== "open" || loaded === null)
		return;
	if (since - loadedAt > RELOAD_MS || added > view.samples)
		load(0);
	else
		moveOn();
}

/* The list may be long, so that it is asked for seldom, and not while the page is hidden. */
async function loadTags() {
	if (document.hidden && known !== null) {
		setTimeout(loadTags, TAGS_MS);
		return;
	}
	let trouble = false;
	try {
		const first = known === null;
		known = inOrder(await server.tags());
		entries = new Map(known.map(row => [row.tag, row]));
		tagList.setTags(known);
		showError("tags", null);
		if (fresh && view.tags.length === 0 && known.length > 0) {
			fresh = false;
			view.tags = [windows.firstTag(known)];
			closeTags();
		}
		if (view.start >= view.end && view.tags.length > 0) {
			windows.firstWindow(chosenRows());
			/* A tag that is not there has no window, but is asked for, so that this is said. */
			if (view.start >= view.end)
				windows.setSpan(windows.FIRST_SPAN, []);
			changed();
		} else if (first && loaded !== null)
			load(0); /* what is known of the tags says what is asked for */
		else
			draw();
	} catch (error) {
		trouble = true;
		tagList.setTrouble(`The tags could not be loaded${known === null ? "" : " again"}. They are asked for again every few seconds.`);
		showError("tags", error.message);
		draw();
	}
	setTimeout(loadTags, known?.length > 0 && !trouble ? TAGS_MS : FIRST_TAG_MS);
}

async function loadStatus() {
	const {table} = status;
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

function draw() {
	const now = server.now();
	series = loaded === null ? [] : makeSeries(view, loaded.lines, latest, about, now);
	/* A line that the view no longer has leaves all of them. */
	const only = series.filter(one => one.key === view.only);
	drawn = only.length > 0 ? only : series;
	const lengths = [...latest.values()].map(row => row.values.length);
	const count = Math.max(1, ...lengths, ...view.elements);
	values.drawElements(count, view.elements, commonNames(count));
	chart.start = view.start;
	chart.end = view.end;
	$("chart").hidden = view.table || (drawn.length === 0 && (loaded !== null || view.tags.length === 0 || errors.size > 0));
	chart.setData(view.start, view.table ? [] : drawn, {scale: suitingScale(view, drawn), utc: view.utc});
	$("samples").hidden = !view.table;
	if (view.table)
		drawSamples($("samples"), drawn, view);
	$("values-part").hidden = series.length === 0;
	$("csv").disabled = drawn.length === 0;
	$("png").disabled = drawn.length === 0 || view.table;
	values.draw(series, {latest, now, utc: view.utc, only: only.length > 0 ? view.only : ""});
	if (chart.cursor === null)
		drawCursor(null);
	drawNote(now);
	drawShellLines();
}

/* The names of values that all shown tags have at the same places. */
function commonNames(count) {
	const rows = [...(loaded?.lines.keys() ?? [])].map(about);
	return Array.from({length: count}, (_, index) => {
		const name = rows[0]?.names?.[index];
		return name && rows.every(row => row.names?.[index] === name) ? name : "";
	});
}

function drawNote(now) {
	const {texts, fit} = messages({view, known, loaded: loaded !== null, lines: loaded?.lines ?? new Map(),
		empty: loaded?.empty ?? new Map(), series: drawn, latest, now});
	const text = texts.join("\n");
	if ($("chart-note").textContent !== text)
		$("chart-note").textContent = text;
	$("chart-note").hidden = text === "";
	$("note-fit").hidden = !fit;
}

function drawShellLines() {
	drawLines($("lines"), shellLines({...view, tags: loaded?.lines.size > 0 ? view.tags : []}, status.table,
		server.now()));
}

function drawCursor(time, samples) {
	values.drawAt(time, series.map(one => time === null ? windowEnd(one)
		: samples.find(row => row.one.key === one.key)?.sample ?? null), view.utc);
}

/* The last sample of a line in the window. */
function windowEnd({xs, ys}) {
	const end = Number(view.end - view.start);
	for (let i = xs.length - 1; i >= 0; i--) {
		if (xs[i] <= end && xs[i] >= 0 && ys[i] !== null)
			return {x: xs[i], y: ys[i]};
	}
	return null;
}

/* On a narrow screen the chart comes first. */
function closeTags() {
	if (matchMedia("(max-width: 800px)").matches)
		$("tag-panel").open = false;
}

bindToken();
bindControls({onLoad: changed, onDraw: redraw, rows: chosenRows, gestures: chart.gestures, onBack: goBack,
	onCsv: () => saveCsv(drawn, view), onPng: () => savePng(chart, drawn, view)});
addEventListener("hashchange", () => {
	readAddress();
	changed();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
document.addEventListener("visibilitychange", () => {
	if (view.live)
		load(0);
});
setInterval(tick, LIVE_MS);

fresh = location.hash === "";
readAddress();
if (view.tags.length > 0)
	closeTags();
changed();
loadTags();
loadStatus();
