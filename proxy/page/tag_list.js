/*
 * tag_list.js
 *	  The list of tags: search, choosing, keys.
 *
 * The document has a limited number of rows, and a search narrows what they show, so that 100,000
 * tags cost no more than a hundred.
 */
import {now} from "./server.js";
import {durationText, SECOND} from "./time.js";
import {MAX_TAGS} from "./view.js";

const SHOWN_ROWS = 100;

export class TagList {
	/* onChange(tags) is told of another choice. */
	constructor(onChange) {
		this.onChange = onChange;
		this.list = document.getElementById("tag-list");
		this.search = document.getElementById("tag-search");
		this.note = document.getElementById("tag-note");
		this.clear = document.getElementById("tag-clear");
		this.chosenText = document.getElementById("tag-chosen");
		this.tags = null;
		this.chosen = [];
		this.search.addEventListener("input", () => this.draw());
		this.clear.addEventListener("click", () => this.choose([]));
		this.list.addEventListener("change", event => this.toggle(event.target));
		this.search.addEventListener("keydown", event => this.moveFocus(event, -1));
		this.list.addEventListener("keydown", event =>
			this.moveFocus(event, this.boxes().indexOf(event.target)));
	}

	setTags(tags) {
		this.tags = tags;
		this.draw();
	}

	setChosen(chosen) {
		this.chosen = chosen;
		this.draw();
	}

	choose(chosen) {
		this.setChosen(chosen);
		this.onChange(chosen);
	}

	toggle(box) {
		const tag = box.value;
		if (!box.checked)
			this.choose(this.chosen.filter(other => other !== tag));
		else if (this.chosen.length < MAX_TAGS)
			this.choose([...this.chosen, tag]);
		else {
			box.checked = false;
			this.note.textContent = `At most ${MAX_TAGS} tags can be shown at once.`;
		}
	}

	boxes() {
		return [...this.list.querySelectorAll("input")];
	}

	/* The keys up and down go through the rows, and from the search field into them. */
	moveFocus(event, index) {
		const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
		const boxes = this.boxes();
		if (step === undefined || (step < 0 && index < 0))
			return;
		event.preventDefault();
		(index + step < 0 ? this.search : boxes[Math.min(index + step, boxes.length - 1)])?.focus();
	}

	draw() {
		const focused = this.list.contains(document.activeElement) ? document.activeElement.value : null;
		const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
		const all = this.tags ?? [];
		const found = words.length === 0 ? all : all.filter(({tag, description}) => {
			const text = `${tag} ${description ?? ""}`.toLowerCase();
			return words.every(word => text.includes(word));
		});
		this.list.replaceChildren(...found.slice(0, SHOWN_ROWS).map(row => this.row(row)));
		this.clear.disabled = this.chosen.length === 0;
		this.chosenText.textContent = this.chosen.length > 0 ? `${this.chosen.length} chosen` : "";
		this.note.textContent = this.noteText(all.length, found.length);
		if (focused !== null)
			this.boxes().find(box => box.value === focused)?.focus();
	}

	noteText(all, found) {
		const number = count => count.toLocaleString("en");
		if (this.tags === null)
			return "Loading …";
		if (all === 0)
			return "No tags yet.";
		if (found === 0)
			return "No tag has this in its name or description.";
		if (found > SHOWN_ROWS)
			return `The first ${SHOWN_ROWS} of ${number(found)}; search for the others.`;
		return found < all ? `${number(found)} of ${number(all)} tags` : `${number(all)} tags`;
	}

	row({tag, description, last, samples}) {
		const item = document.createElement("li");
		const label = document.createElement("label");
		const box = document.createElement("input");
		const name = document.createElement("span");
		const about = document.createElement("span");
		const age = now() - last;
		box.type = "checkbox";
		box.value = tag;
		box.checked = this.chosen.includes(tag);
		name.className = "name";
		name.textContent = tag;
		about.className = "quiet";
		about.textContent = age < SECOND ? "now" : `${durationText(age)} ago`;
		label.title = `${tag}${description ? `, ${description}` : ""}: ${samples.toLocaleString("en")} samples, the last one ${about.textContent}`;
		label.append(box, name, about);
		item.append(label);
		return item;
	}
}
