/*
 * controls.js
 *	  The controls around the chart: what they show of the view, and what they change in it.
 */
import {copyText} from "./copy.js";
import {parseDuration, parseTime, SECOND, timeText} from "./time.js";
import {view} from "./view.js";
import * as windows from "./windows.js";

const $ = id => document.getElementById(id);
const SPANS = [...$("span").options].map(option => option.value);

/* Puts the view into the controls; a field in which the user types keeps its text. */
export function drawControls() {
	const length = view.end - view.start;
	const span = String(length / SECOND);
	$("span").value = length % SECOND === 0n && SPANS.includes(span) ? span : "";
	$("method").value = view.method;
	$("scale").value = view.scale;
	$("zone").value = view.utc ? "utc" : "local";
	$("live").checked = view.live;
	$("back").disabled = !windows.canGoBack();
	$("as-chart").setAttribute("aria-pressed", String(!view.table));
	$("as-table").setAttribute("aria-pressed", String(view.table));
	for (const [id, text] of [["from", timeText(view.start, view.utc)], ["to", timeText(view.end, view.utc)]]) {
		if (document.activeElement !== $(id))
			$(id).value = view.start < view.end ? text : "";
	}
	if (document.activeElement !== $("gap"))
		$("gap").value = view.gap;
}

/* Shows what is wrong with a form, or null; returns whether nothing is. */
function showWrong(id, error) {
	$(id).textContent = error?.message ?? "";
	$(id).hidden = error === null;
	return error === null;
}

function takeGap() {
	const text = $("gap").value.trim().toLowerCase();
	try {
		if (text !== "" && text !== "off" && parseDuration(text) === 0n)
			throw new Error("A gap has to be longer than nothing");
		view.gap = text;
		return showWrong("gap-error", null);
	} catch (error) {
		return showWrong("gap-error", error);
	}
}

function takeWindow() {
	try {
		const start = parseTime($("from").value, view.utc);
		const end = parseTime($("to").value, view.utc);
		if (start >= end)
			throw new Error("“From” must be before “To”");
		windows.keepWindow();
		Object.assign(view, {start, end, live: false});
		$("from").value = timeText(start, view.utc);
		$("to").value = timeText(end, view.utc);
		return showWrong("window-error", null);
	} catch (error) {
		return showWrong("window-error", error);
	}
}

function copyLink() {
	$("link-text").textContent = location.href;
	copyText(location.href, $("link"), $("link-text"));
}

/*
 * onLoad() is told that other samples are needed, onDraw() that the same are drawn otherwise; rows()
 * returns the entries of the chosen tags; gestures are those of the chart.
 */
export function bindControls({onLoad, onDraw, rows, gestures, onBack, onCsv, onPng}) {
	const choose = (id, take, after) => $(id).addEventListener("change", event => {
		if (take(event.target) !== false)
			after();
	});
	$("settings").addEventListener("submit", event => event.preventDefault());
	choose("span", ({value}) => {
		windows.keepWindow();
		if (value === "fit")
			windows.fitWindow(rows());
		else if (value !== "")
			windows.setSpan(BigInt(value) * SECOND, rows());
	}, onLoad);
	choose("method", ({value}) => {
		view.method = value;
	}, onLoad);
	choose("scale", ({value}) => {
		view.scale = value;
	}, onDraw);
	choose("zone", ({value}) => {
		view.utc = value === "utc";
	}, onDraw);
	choose("gap", takeGap, onLoad);
	choose("live", ({checked}) => {
		windows.keepWindow();
		windows.setLive(checked, rows());
	}, onLoad);
	$("window").addEventListener("submit", event => {
		event.preventDefault();
		if (takeWindow())
			onLoad();
	});
	for (const [id, action] of [["earlier", () => gestures.pan(-0.5)], ["later", () => gestures.pan(0.5)],
		["zoom-in", () => gestures.zoom(0.5)], ["zoom-out", () => gestures.zoom(2)], ["back", onBack],
		["csv", onCsv], ["png", onPng], ["link", copyLink]])
		$(id).addEventListener("click", action);
	for (const id of ["fit", "note-fit"])
		$(id).addEventListener("click", () => {
			windows.keepWindow();
			windows.fitWindow(rows());
			onLoad();
		});
	for (const [id, table] of [["as-chart", false], ["as-table", true]])
		$(id).addEventListener("click", () => {
			view.table = table;
			onDraw();
		});
}
