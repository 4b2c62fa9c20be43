/*
 * values.js
 *	  The choice of elements that are drawn, and the table of values: under the cursor and latest.
 */
import {putName} from "./names.js";
import {numberText} from "./numbers.js";
import {durationText, offsetText, timeText} from "./time.js";

const ONE_SECOND = 1_000_000_000n;

/* "2020-03-09 11:14:33 (10:14:33Z)": a local time is followed by the same time in UTC. */
export function bothTimes(ns, utc) {
	if (utc)
		return timeText(ns, true);
	return `${timeText(ns, false)} ${offsetText(ns)}`;
}

export class Values {
	/* onElements(numbers) is told of another choice of elements, onOnly(key) of a series to be alone. */
	constructor({onElements, onOnly}) {
		this.onElements = onElements;
		this.onOnly = onOnly;
		this.list = document.getElementById("element-list");
		this.body = document.querySelector("#values tbody");
		this.cursorTime = document.getElementById("cursor-time");
		this.atHead = document.getElementById("at-head");
		this.list.addEventListener("change", () => this.onElements(
			[...this.list.querySelectorAll("input:checked")].map(box => Number(box.value))));
		this.body.addEventListener("click", event => {
			const button = event.target.closest("button");
			if (button !== null)
				this.onOnly(button.value);
		});
	}

	/* Shows a box for each of count elements, with its name or ""; the focus stays where it is. */
	drawElements(count, chosen, names) {
		while (this.list.children.length > count)
			this.list.lastChild.remove();
		while (this.list.children.length < count) {
			const label = document.createElement("label");
			const box = document.createElement("input");
			box.type = "checkbox";
			box.value = this.list.children.length + 1;
			label.append(box, document.createElement("span"));
			this.list.append(label);
		}
		for (const box of this.list.querySelectorAll("input")) {
			box.checked = chosen.includes(Number(box.value));
			box.nextSibling.textContent = names[box.value - 1] || box.value;
			box.parentElement.title = `Value ${box.value}`;
		}
		this.list.closest("fieldset").hidden = count < 2;
	}

	/* series are those of series.js; latest is a Map of tag to {time, values}; only is a key or "". */
	draw(series, {latest, now, utc, only}) {
		if (series.map(one => one.key).join("\n") !== this.keys) {
			this.keys = series.map(one => one.key).join("\n");
			this.body.replaceChildren(...series.map(one => this.row(one)));
		}
		series.forEach((one, index) => {
			const row = this.body.children[index];
			const button = row.querySelector("button");
			const last = latest.get(one.tag);
			const mark = row.querySelector(".mark");
			row.querySelector(".element").textContent = one.name || one.element;
			row.querySelector(".element").title = this.about(one);
			row.querySelector(".unit").textContent = one.unit;
			row.classList.toggle("off", only !== "" && one.key !== only);
			button.setAttribute("aria-pressed", String(one.key === only));
			mark.style.borderTopColor = one.color;
			mark.style.borderTopStyle = one.dash ? "dashed" : "solid";
			row.querySelector(".latest").textContent = numberText(last?.values[one.element - 1]);
			row.querySelector(".age").textContent = last === undefined ? "–" : this.age(last.time, now, utc);
			row.querySelector(".state").textContent = one.stale ? "stale" : "";
		});
	}

	/* at is the sample of each series at the time of the cursor, or the last one in the window. */
	drawAt(time, at, utc) {
		this.atHead.textContent = time === null ? "In the window" : "At the cursor";
		this.cursorTime.textContent = time === null ? "" : this.cursorText(time, utc);
		at.forEach((sample, index) => {
			const cell = this.body.children[index]?.querySelector(".at");
			if (cell !== undefined && cell !== null)
				cell.textContent = numberText(sample?.y ?? null);
		});
	}

	cursorText(time, utc) {
		return utc ? timeText(time, true)
			: `${timeText(time, false)} ${offsetText(time)}, ${timeText(time, true).slice(11)}`;
	}

	age(time, now, utc) {
		const age = now - time;
		const text = bothTimes(time, utc);
		if (age < 0n)
			return text;
		return age < ONE_SECOND ? `${text}, now` : `${text}, ${durationText(age)} ago`;
	}

	row(one) {
		const row = document.createElement("tr");
		const tag = document.createElement("th");
		const button = document.createElement("button");
		const mark = document.createElement("span");
		const name = document.createElement("span");
		tag.scope = "row";
		button.type = "button";
		button.value = one.key;
		button.setAttribute("aria-description", "Show this line alone, or all again");
		mark.className = "mark";
		name.className = "name";
		putName(name, one.tag);
		button.append(mark, name);
		tag.append(button);
		row.append(tag);
		for (const name of ["element", "at number", "latest number", "unit", "when"])
			row.insertCell().className = name;
		for (const name of ["state", "age"])
			row.cells[5].appendChild(document.createElement("span")).className = name;
		return row;
	}

	/* What is known of a series, as a line. */
	about({element, description, low, high}) {
		const limits = low !== null && high !== null ? `, ${numberText(low)} to ${numberText(high)}`
			: low !== null ? `, at least ${numberText(low)}` : high !== null ? `, at most ${numberText(high)}` : "";
		return `${description ? `${description}: value` : "Value"} ${element}${limits}`;
	}
}
