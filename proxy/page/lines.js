/*
 * lines.js
 *	  What the page shows, as lines for a shell.
 */
import {copyText} from "./copy.js";
import {apiParameters, selects} from "./server.js";
import {token} from "./token.js";

/*
 * Characters that change a terminal, or the order in which it shows other characters: controls,
 * marks of direction, line separators.  In text that is pasted into a shell, a control can end the
 * line and begin another one.
 */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;
const ALL_UNSEEN = new RegExp(UNSEEN, "g");

const hex = (number, digits) => number.toString(16).padStart(digits, "0");

/*
 * Returns a word for a POSIX shell that is exactly this text; with unseen characters, for bash, ksh
 * and zsh.
 */
export function shellWord(text) {
	if (UNSEEN.test(text))
		return `$'${text.replace(/['\\]/g, "\\$&").replace(ALL_UNSEEN, character =>
			[...new TextEncoder().encode(character)].map(byte => "\\x" + hex(byte, 2)).join(""))}'`;
	if (!text.includes("'"))
		return `'${text}'`;
	if (!/["$`\\!]/.test(text))
		return `"${text}"`;
	return `'${text.replaceAll("'", "'\\''")}'`;
}

/*
 * Returns the text as SQL has it, with escapes for unseen characters, so that it fits a word of any
 * shell.
 */
export function sqlText(text) {
	const quoted = `'${text.replaceAll("'", "''").replaceAll("\\", "\\\\").replace(ALL_UNSEEN, character =>
		"\\u" + hex(character.charCodeAt(0), 4))}'`;
	return text.includes("\\") || UNSEEN.test(text) ? `E${quoted}` : quoted;
}

/* Returns the SQL name for a setting "schema.table". */
function tableName(table) {
	return table.split(".").map(part =>
		/^[a-z_][a-z0-9_]*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`).join(".");
}

function url(path, parameters) {
	return location.origin + path + "?" + parameters.map(([name, value]) =>
		`${name}=${encodeURIComponent(value).replaceAll("%2F", "/")}`).join("&");
}

/* curl, with the token of a variable where the server asks for one: the token itself is not for a shell's history. */
function curl() {
	return token() === "" ? "curl " : 'curl --oauth2-bearer "$HISTORIAN_TOKEN" ';
}

function psqlLine(view, table) {
	const tags = view.tags.map(sqlText);
	const from = tags.length > 1
		? `historian.downsample_many(${sqlText(tableName(table))}, ARRAY[${tags.join(", ")}]`
		: `historian.downsample(${sqlText(tableName(table))}, ${tags[0]}`;
	const element = selects(view.method) && view.elements?.[0] > 1 ? `, ${view.elements[0]}` : "";
	return "psql -c " + shellWord(`SELECT * FROM ${from}, ${view.start}, ${view.end}, ` +
		`${view.samples}, ${sqlText(view.method)}${element})`);
}

/* Returns [[what, line]...] for a view with tags, or the line that sends a first message. */
export function shellLines(view, table, now) {
	if (view.tags.length === 0)
		return [["Send a message", curl() + location.origin + "/save -d " + shellWord(
			`{"time": ${now}, "tag": "boiler", "values": [71.3, 1.02]}`)]];
	const raw = [["tag", view.tags[0]], ["start", view.start], ["end", view.end], ["precision", "ns"],
		["format", "csv"]];
	return [
		["These samples, over HTTP", curl() + shellWord(url("/api", apiParameters(view)))],
		["The same in SQL (PGHOST, PGDATABASE or a conninfo say where)", psqlLine(view, table)],
		[`As recorded, ${view.tags[0].replace(ALL_UNSEEN, "\ufffd")}`, curl() + "-o export.csv " + shellWord(url("/export", raw))],
	];
}

/* Shows the lines, each with a button that copies it; lines that are shown already are kept. */
export function drawLines(element, lines) {
	while (element.children.length > lines.length)
		element.lastChild.remove();
	lines.forEach(([what, line], index) => {
		const box = element.children[index] ?? element.appendChild(emptyBox());
		for (const [part, text] of [["h3", what], ["code", line]]) {
			const place = box.querySelector(part);
			if (place.textContent !== text)
				place.textContent = text;
		}
	});
}

function emptyBox() {
	const box = document.createElement("div");
	const code = document.createElement("code");
	const button = document.createElement("button");
	box.className = "line";
	code.tabIndex = 0;
	button.type = "button";
	button.textContent = "Copy";
	button.addEventListener("click", () => copyText(code.textContent, button, code));
	box.append(document.createElement("h3"), code, button);
	return box;
}
