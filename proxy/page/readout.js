/*
 * readout.js
 *	  The values at the cursor, in a box beside it.
 */
import {cutName} from "./names.js";
import {numberText} from "./numbers.js";
import {durationText, timeText} from "./time.js";

const MOST_ROWS = 12;
const NAME_CHARACTERS = 36;
const FEWEST_CHARACTERS = 8;
const DISTANCE_PX = 14;
const NEAR_PX = 6; /* samples so near to each other are at the cursor */
const LOW_PX = 90; /* a box so low goes above the plot, where neither side has room */

export class Readout {
	constructor(element) {
		this.element = element;
		this.box = element.appendChild(document.createElement("div"));
		this.box.className = "readout";
		this.box.hidden = true;
		this.said = document.getElementById("cursor-said");
	}

	hide() {
		this.box.hidden = true;
		this.said.textContent = "";
	}

	/*
	 * Shows rows {one, sample} at the time x, which counts from base, in a plot; a sample is that of
	 * sampleAt().
	 */
	show(panel, x, base, rows, {utc, axisWidth, start, end}) {
		const pixel = Number(end - start) / panel.plot.over.clientWidth;
		const time = timeText(base + BigInt(Math.round(x)), utc);
		const head = document.createElement("p");
		const table = document.createElement("table");
		head.textContent = time;
		/* The lines that have a value come first if not all fit. */
		const shown = rows.length <= MOST_ROWS ? rows
			: [...rows.filter(row => row.sample !== null), ...rows.filter(row => row.sample === null)].slice(0, MOST_ROWS);
		this.box.replaceChildren(head, table);
		if (rows.length > MOST_ROWS) {
			const rest = this.box.appendChild(document.createElement("p"));
			rest.textContent = `and ${rows.length - MOST_ROWS} more in the table below`;
		}
		this.box.hidden = false;
		this.box.style.left = "0"; /* its width depends on the room to the right */
		/* Names are cut so far that values are not. */
		for (let characters = NAME_CHARACTERS; characters >= FEWEST_CHARACTERS; characters -= 4) {
			table.replaceChildren(...shown.map(row => this.row(row, x, pixel, characters)));
			if (this.box.scrollWidth <= this.box.clientWidth)
				break;
		}
		this.place(panel, x, axisWidth);
		/* The pointer is followed by eyes, and the keyboard by ears as well. */
		this.said.textContent = !this.element.matches(":focus-visible") ? "" : `${time}: ` +
			shown.map(({one, sample}) => `${one.label} ` +
				(sample === null ? "no value" : `${numberText(sample.y)} ${one.unit}`)).join(", ");
	}

	row({one, sample}, x, pixel, characters) {
		const row = document.createElement("tr");
		const mark = row.insertCell().appendChild(document.createElement("span"));
		mark.className = "mark";
		mark.style.borderTopColor = one.color;
		mark.style.borderTopStyle = one.dash ? "dashed" : "solid";
		const name = row.insertCell();
		name.textContent = cutName(one.label, characters);
		const note = name.appendChild(document.createElement("span"));
		note.className = "quiet";
		note.textContent = this.noteText(sample, x, pixel);
		const value = row.insertCell();
		value.className = "number";
		value.textContent = numberText(sample?.y ?? null);
		row.insertCell().textContent = sample === null ? "" : one.unit;
		return row;
	}

	/* What is to be known of a value: that it was carried here, or is of a time that is seen to be another one. */
	noteText(sample, x, pixel) {
		if (sample === null)
			return "no value";
		const before = Math.round(x - sample.x);
		const away = Math.abs(before) < NEAR_PX * pixel ? ""
			: `${durationText(Math.abs(before))} ${before > 0 ? "before" : "after"}`;
		return sample.carried ? `carried${away ? `, ${away}` : ""}` : away;
	}

	/* Beside the cursor, on the side that has more room, within the chart. */
	place(panel, x, axisWidth) {
		const left = panel.element.offsetLeft + axisWidth + panel.plot.valToPos(x, "x");
		const {clientWidth} = this.element;
		const width = this.box.offsetWidth;
		const right = left + DISTANCE_PX + width <= clientWidth;
		const wanted = right ? left + DISTANCE_PX : left - DISTANCE_PX - width;
		/* Where neither side has room it is above the plot, where a finger does not hide it. */
		const fits = wanted >= 0;
		const height = this.box.offsetHeight;
		const plotTop = panel.plot.root.offsetTop;
		const top = fits ? plotTop + DISTANCE_PX : height <= LOW_PX ? plotTop - height : plotTop;
		this.box.style.left = `${Math.round(Math.max(0, fits ? wanted : Math.min(left - width / 2, clientWidth - width)))}px`;
		this.box.style.top = `${Math.round(top)}px`;
	}
}
