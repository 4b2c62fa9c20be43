/*
 * tag_list.js
 *	  The list of tags: a tree or what a search finds, choosing, keys.
 *
 * The document has a limited number of rows, and a search narrows what they show, so that 100,000
 * tags cost no more than a hundred.
 */
import {putName} from "./names.js";
import {isStale} from "./series.js";
import {now} from "./server.js";
import {foldersOf, makeTree, treeLines} from "./tag_tree.js";
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
		this.open = new Set(); /* paths of folders */
		this.refusal = ""; /* why the last choice was not taken */
		this.refused = 0; /* tags of the address that are not shown */
		this.trouble = ""; /* why there is no newer list */
		this.search.addEventListener("input", () => this.draw());
		this.clear.addEventListener("click", () => this.choose([]));
		this.list.addEventListener("change", event => this.toggle(event.target));
		this.list.addEventListener("click", event => {
			const folder = event.target.closest("button");
			if (folder !== null)
				this.openFolder(folder.value, !this.open.has(folder.value));
		});
		this.search.addEventListener("keydown", event => this.moveFocus(event, -1));
		this.list.addEventListener("keydown", event => this.moveFocus(event, this.controls().indexOf(event.target)));
	}

	/* Takes the entries of all tags, in order. */
	setTags(tags) {
		const first = this.tags === null;
		this.tags = tags;
		this.tree = makeTree(tags);
		this.asked = now();
		this.trouble = "";
		if (first)
			this.chosen.flatMap(foldersOf).forEach(path => this.open.add(path));
		this.draw();
	}

	/* Says why the tags could not be loaded. */
	setTrouble(text) {
		this.trouble = text;
		this.draw();
	}

	setChosen(chosen, refused = 0) {
		if (chosen.join("\n") !== this.chosen.join("\n")) {
			this.refusal = "";
			this.refused = 0;
		}
		this.refused = Math.max(this.refused, refused);
		if (refused > 0 && this.refusal === "")
			this.refusal = `The address names ${chosen.length + refused} tags; the first ${MAX_TAGS} are shown.`;
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
			this.refusal = `At most ${MAX_TAGS} tags can be shown at once. Take one away to add another.`;
			this.draw();
		}
	}

	openFolder(path, open) {
		if (open)
			this.open.add(path);
		else
			this.open.delete(path);
		this.draw();
	}

	controls() {
		return [...this.list.querySelectorAll("input, button")];
	}

	/* Up and down go through the rows, and from the search field into them; right and left open and close a folder. */
	moveFocus(event, index) {
		const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
		const controls = this.controls();
		const opens = {ArrowRight: true, ArrowLeft: false}[event.key];
		if (opens !== undefined && controls[index]?.tagName === "BUTTON") {
			event.preventDefault();
			this.openFolder(controls[index].value, opens);
		}
		if (step === undefined || (step < 0 && index < 0))
			return;
		event.preventDefault();
		(index + step < 0 ? this.search : controls[Math.min(index + step, controls.length - 1)])?.focus();
	}

	draw() {
		const focused = this.list.contains(document.activeElement) ? document.activeElement.value : null;
		const {scrollTop} = this.list;
		const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
		const all = this.tags ?? [];
		const asTree = words.length === 0 && this.tree;
		const found = words.length === 0 ? all : all.filter(({tag, description}) => {
			const text = `${tag} ${description ?? ""}`.toLowerCase();
			return words.every(word => text.includes(word));
		});
		const lines = asTree ? treeLines(this.tree, this.open, SHOWN_ROWS)
			: found.slice(0, SHOWN_ROWS).map(row => ({row, name: row.tag, depth: 0}));
		this.list.replaceChildren(...lines.map(line => line.folder ? this.folderRow(line) : this.tagRow(line)));
		this.list.hidden = lines.length === 0;
		this.list.scrollTop = scrollTop;
		this.clear.disabled = this.chosen.length === 0;
		this.chosenText.textContent = this.chosenCount();
		const text = this.noteText(all.length, found.length, lines.length);
		if (this.note.textContent !== text)
			this.note.textContent = text;
		this.note.classList.toggle("warn", this.refusal !== "" || this.trouble !== "");
		if (focused !== null)
			this.controls().find(control => control.value === focused)?.focus();
	}

	/* It is seen where the list is folded, as on a phone, and the note is not. */
	chosenCount() {
		const count = this.chosen.length;
		if (this.refused > 0)
			return `the first ${count} of ${count + this.refused} in the address`;
		return count > 0 ? `${count} chosen` : "";
	}

	noteText(all, found, shown) {
		const number = count => count.toLocaleString("en");
		const tags = count => `${number(count)} ${count === 1 ? "tag" : "tags"}`;
		if (this.refusal || this.trouble)
			return this.refusal || this.trouble;
		if (this.tags === null)
			return "Loading …";
		if (all === 0)
			return "No tags yet.";
		if (found === 0)
			return "No tag has this in its name or description.";
		if (found < all)
			return found > SHOWN_ROWS ? `The first ${SHOWN_ROWS} of ${number(found)}; search for the others.`
				: `${number(found)} of ${tags(all)}`;
		return shown >= SHOWN_ROWS ? `${tags(all)}, of which the first ${SHOWN_ROWS} rows are shown; search for the others.`
			: tags(all);
	}

	folderRow({folder, name, depth, open}) {
		const item = document.createElement("li");
		const button = document.createElement("button");
		const text = document.createElement("span");
		const count = document.createElement("span");
		const chosen = this.chosen.filter(tag => tag.startsWith(folder.path)).length;
		button.type = "button";
		button.className = "folder";
		button.value = folder.path;
		button.setAttribute("aria-expanded", String(open));
		text.className = "name";
		putName(text, name);
		count.className = "quiet";
		count.textContent = `${chosen > 0 ? `${chosen} of ` : ""}${folder.count.toLocaleString("en")}`;
		button.append(text, count);
		item.append(button);
		item.style.setProperty("--depth", depth);
		return item;
	}

	tagRow({row, name, depth}) {
		const {tag, description, last, samples} = row;
		const item = document.createElement("li");
		const label = document.createElement("label");
		const box = document.createElement("input");
		const text = document.createElement("span");
		const about = document.createElement("span");
		const age = this.asked - last;
		const ageText = age < SECOND ? age < -SECOND ? "ahead" : "now" : durationText(age);
		const stale = isStale(row, last, this.asked);
		box.type = "checkbox";
		box.value = tag;
		box.checked = this.chosen.includes(tag);
		text.className = "name";
		putName(text, name);
		about.className = stale ? "stale" : "quiet";
		about.textContent = ageText.replace(" years", " y");
		label.title = `${tag}${description ? `, ${description}` : ""}: ${samples.toLocaleString("en")} samples, the last one ` +
			(age < SECOND ? ageText : `${ageText} ago`) + (stale ? "; stale: silent for longer than usual or allowed" : "");
		if (stale)
			about.prepend(unseen("stale, "));
		label.append(box, text, about);
		item.append(label);
		item.style.setProperty("--depth", depth);
		return item;
	}
}

/* A text for those who hear the page. */
function unseen(text) {
	const element = document.createElement("span");
	element.className = "unseen";
	element.textContent = text;
	return element;
}
