/*
 * messages.js
 *	  What is said in words where the chart cannot show it.
 */
import {durationText, timeText} from "./time.js";

const MOST_LIKE = 3;

const quoted = tag => `“${tag}”`;

function listed(items) {
	return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/* How many characters two texts have in common at their beginning. */
function commonLength(a, b) {
	let length = 0;
	while (length < a.length && a[length] === b[length])
		length++;
	return length;
}

/* Tags that begin like one that is not there, the most alike first. */
function tagsLike(tag, known) {
	const lower = tag.toLowerCase();
	return known.map(row => [commonLength(lower, row.tag.toLowerCase()), row.tag])
		.filter(([length]) => length >= Math.min(3, lower.length))
		.sort((a, b) => b[0] - a[0]).slice(0, MOST_LIKE).map(([, other]) => other);
}

function unknownText(tags, known) {
	const text = tags.length === 1 ? `No sample was ever stored for the tag ${quoted(tags[0])}.`
		: `No sample was ever stored for the tags ${listed(tags.map(quoted))}.`;
	const like = known === null || tags.length > 1 ? [] : tagsLike(tags[0], known);
	return like.length > 0 ? `${text} There is ${listed(like.map(quoted))}.` : text;
}

/* Why a line has nothing in the window, by the words of load(). */
function emptyText({tag, element, name, parts}, why, last, {now, utc, end}) {
	const value = name ? `“${name}”` : `value ${element}`;
	if (why === "null")
		return `Every row of ${quoted(tag)} in this window has NULL as ${value}: nothing was measured.`;
	if (why === "fewer")
		return `The rows of ${quoted(tag)} in this window have no ${value}.`;
	if (why === "unfit")
		return `Every row of ${quoted(tag)} in this window has NaN or an infinity as ${value}, which no chart can show.`;
	const age = now - last;
	const when = last === undefined ? ""
		: ` Its last sample is of ${timeText(last, utc)}${age > 0n ? `, ${durationText(age)} ago` : ""}` +
			`${last > end ? ", after this window" : ""}.`;
	const line = parts.solid.xs.length > 1 ? "; the line is between those beside it" : "";
	return `${quoted(tag)} has no sample in this window${line}.${when}`;
}

/*
 * Returns {texts, fit}: what is said about a view; and whether a window with all samples would help.
 *
 *	known		all tags, or null as long as they are not loaded
 *	loaded		samples of the view were loaded
 *	lines, empty	what load() has returned; series: what is drawn
 *	latest		a Map of tag to its last row
 */
export function messages({view, known, loaded, lines, empty, series, latest, now}) {
	const texts = [];
	if (view.tags.length === 0)
		return {texts: known === null ? [] : [known.length === 0
			? "No tag was stored yet. The line below sends a first message." : "Choose a tag from the list."], fit: false};
	if (view.elements.length === 0)
		return {texts: ["Choose which of the values to draw."], fit: false};
	if (!loaded)
		return {texts, fit: false};
	const missing = view.tags.filter(tag => !lines.has(tag));
	if (missing.length > 0)
		texts.push(unknownText(missing, known));
	const said = new Set();
	let fit = false;
	for (const one of series) {
		const why = empty.get(one.key);
		if (why === undefined)
			continue;
		fit ||= why === "none";
		said.add(emptyText(one, why, latest.get(one.tag)?.time, {now, utc: view.utc, end: view.end}));
	}
	const several = [...said];
	texts.push(...several.slice(0, 4));
	if (several.length > 4)
		texts.push(`${several.length - 4} more have nothing to show.`);
	if (series.some(one => one.parts.carried.length > 0))
		texts.push("Dotted: carried from the last sample; nothing was measured there.");
	return {texts, fit};
}
