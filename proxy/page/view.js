/*
 * view.js
 *	  The view, which is what the page shows.  The address's fragment keeps it, so that a link or a
 *	  reload shows the same.
 */
import {clampTime} from "./time.js";

export const MAX_TAGS = 12;
const MAX_VALUES = 1000; /* of a message */

export const view = {
	tags: [],
	elements: [1],
	start: 0n,
	end: 0n,
	method: "last",
	live: false,
	own: false,
	utc: false,
	focus: "",
	samples: 1000,
};

export function readAddress() {
	const parameters = new URLSearchParams(location.hash.slice(1));
	const integer = name => /^-?\d{1,19}$/.test(parameters.get(name) ?? "")
		? clampTime(BigInt(parameters.get(name))) : null;
	const start = integer("start");
	const end = integer("end");
	view.tags = parameters.getAll("tag").slice(0, MAX_TAGS);
	view.elements = (parameters.get("values") ?? "1").split(",").map(Number)
		.filter(number => Number.isInteger(number) && number > 0 && number <= MAX_VALUES);
	view.method = parameters.get("method") ?? "last";
	view.live = parameters.get("live") === "1";
	view.own = parameters.get("scale") === "own";
	view.utc = parameters.get("zone") === "utc";
	if (start !== null && end !== null && start < end)
		[view.start, view.end] = [start, end];
}

export function writeAddress() {
	const parameters = new URLSearchParams(view.tags.map(tag => ["tag", tag]));
	parameters.set("values", view.elements.join(","));
	parameters.set("start", view.start);
	parameters.set("end", view.end);
	parameters.set("method", view.method);
	if (view.live)
		parameters.set("live", "1");
	if (view.own)
		parameters.set("scale", "own");
	if (view.utc)
		parameters.set("zone", "utc");
	history.replaceState(null, "", "#" + parameters);
}
