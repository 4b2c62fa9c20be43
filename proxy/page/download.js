/*
 * download.js
 *	  What is shown, as a file: CSV of the samples, PNG of the chart.
 */
import {columnName, sampleRows} from "./samples_table.js";
import {timeText} from "./time.js";

const MARGIN_PX = 16;
const LINE_PX = 20;

function save(blob, name) {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(blob);
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/* A name of a file that every system takes. */
function fileName({tags, start}, type) {
	const name = tags.join("+").replace(/[^\p{L}\p{N}._+-]+/gu, "-").slice(0, 60);
	return `${name}-${timeText(start, true).slice(0, 19).replace(/[: ]/g, "")}.${type}`;
}

/* A field of RFC 4180.  A text that a spreadsheet would compute begins with an apostrophe. */
function field(text) {
	const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
	return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/* The samples as CSV: the time in nanoseconds and as text, and a column for each line. */
export function csvOf(series, {start, end}) {
	const head = ["time_ns", "time", ...series.map(one => field(columnName(one)))];
	const rows = sampleRows(series, start, end).map(({time, values}) => [time,
		timeText(time, true).replace(" ", "T"), ...values.map(value => value ?? "")]);
	return [head, ...rows].map(row => row.join(",") + "\r\n").join("");
}

export function saveCsv(series, view) {
	save(new Blob([csvOf(series, view)], {type: "text/csv"}), fileName(view, "csv"));
}

/* The chart with the names of its lines and its window below. */
export function savePng(chart, series, view) {
	const scale = devicePixelRatio;
	const plots = [...chart.box.querySelectorAll(".panel")];
	const {width} = chart.box.getBoundingClientRect();
	const height = chart.box.getBoundingClientRect().height;
	const lines = chart.panels.length > 1 ? [] : series;
	const canvas = document.createElement("canvas");
	const style = getComputedStyle(document.documentElement);
	const color = name => style.getPropertyValue(name).trim();
	canvas.width = (width + 2 * MARGIN_PX) * scale;
	canvas.height = (height + 2 * MARGIN_PX + LINE_PX * (lines.length + 1)) * scale;
	const context = canvas.getContext("2d");
	context.scale(scale, scale);
	context.fillStyle = color("--surface");
	context.fillRect(0, 0, canvas.width, canvas.height);
	context.font = `13px ${style.fontFamily}`;
	context.textBaseline = "middle";
	const top = chart.box.getBoundingClientRect().top;
	for (const plot of plots) {
		const drawn = plot.querySelector("canvas");
		const box = drawn.getBoundingClientRect();
		const title = plot.querySelector(".panel-title");
		if (title !== null) {
			context.fillStyle = color("--text");
			context.fillText(title.textContent, MARGIN_PX, MARGIN_PX + title.getBoundingClientRect().top - top + LINE_PX / 2);
		}
		context.drawImage(drawn, MARGIN_PX, MARGIN_PX + box.top - top, box.width, box.height);
	}
	const text = (words, line, mark) => {
		const y = MARGIN_PX + height + LINE_PX * (line + 0.5);
		if (mark) {
			context.fillStyle = mark;
			context.fillRect(MARGIN_PX, y - 1.5, 18, 3);
		}
		context.fillStyle = color(mark ? "--text" : "--quiet");
		context.fillText(words, MARGIN_PX + (mark ? 26 : 0), y);
	};
	lines.forEach((one, line) => text(columnName(one), line, one.color));
	text(`${timeText(view.start, view.utc)} to ${timeText(view.end, view.utc)}, ${view.method}`, lines.length);
	canvas.toBlob(blob => save(blob, fileName(view, "png")));
}
