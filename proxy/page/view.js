/*
 * view.js
 *	  The view, which is what the page shows.  The address's fragment keeps it, so that a link or a
 *	  reload shows the same.
 */
import {clampTime, parseDuration} from "./time.js";

export const MAX_TAGS = 12;
const MAX_VALUES = 1000; /* of a message */
const SCALES = ["auto", "one", "own", "apart"];

export const view = {
	tags: [],
	refused: 0, /* tags of the address beyond MAX_TAGS */
	elements: [1],
	start: 0n,
	end: 0n,
	method: "plot",
	live: false,
	scale: "auto",
	gap: "", /* a length of time that is a gap, "off", or "" for what the tag says */
	table: false, /* in place of the chart */
	utc: false,
	only: "", /* the key of the only line that is drawn, or "" */
	samples: 1000,
};

/* What names a line: a tag and an element. */
export const keyOf = (tag, element) => `${element}:${tag}`;

export function readAddress() {
	const parameters = new URLSearchParams(location.hash.slice(1));
	const integer = name => /^-?\d{1,19}$/.test(parameters.get(name) ?? "")
		? clampTime(BigInt(parameters.get(name))) : null;
	const start = integer("start");
	const end = integer("end");
	const tags = [...new Set(parameters.getAll("tag"))];
	view.tags = tags.slice(0, MAX_TAGS);
	view.refused = tags.length - view.tags.length;
	view.elements = (parameters.get("values") ?? "1").split(",").map(Number)
		.filter(number => Number.isInteger(number) && number > 0 && number <= MAX_VALUES);
	view.method = parameters.get("method") ?? "plot";
	view.live = parameters.get("live") === "1";
	view.scale = SCALES.includes(parameters.get("scale")) ? parameters.get("scale") : "auto";
	view.gap = parameters.get("gap") ?? "";
	view.table = parameters.get("show") === "table";
	view.only = parameters.get("only") ?? "";
	view.utc = parameters.get("zone") === "utc";
	if (start !== null && end !== null && start < end)
		[view.start, view.end] = [start, end];
}

export function writeAddress() {
	const parameters = new URLSearchParams(view.tags.map(tag => ["tag", tag]));
	const chosen = [["live", "1", view.live], ["scale", view.scale, view.scale !== "auto"], ["gap", view.gap, view.gap],
		["show", "table", view.table], ["only", view.only, view.only], ["zone", "utc", view.utc]];
	parameters.set("values", view.elements.join(","));
	parameters.set("start", view.start);
	parameters.set("end", view.end);
	parameters.set("method", view.method);
	for (const [name, value, differs] of chosen) {
		if (differs)
			parameters.set(name, value);
	}
	history.replaceState(null, "", "#" + parameters);
}

/* The length of time that the user says is a gap: in nanoseconds, infinite, or null. */
export function chosenGap() {
	if (view.gap === "off")
		return Infinity;
	try {
		return view.gap === "" ? null : Number(parseDuration(view.gap));
	} catch {
		return null;
	}
}
