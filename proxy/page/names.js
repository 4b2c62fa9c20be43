/*
 * names.js
 *	  Names of tags: their order, and long ones cut in the middle.
 */

/* So many characters at the end of a long name stay, because they tell it from its neighbours. */
const TAIL = 10;

/*
 * A text whose order by characters is the order for people: 2 before 10, letters whatever their
 * case, what is in a folder beside each other.
 */
function orderKey(tag) {
	/* A number is preceded by how many digits it has. */
	return tag.toLowerCase().replaceAll("/", "\u0001").replace(/\d+/g, digits => {
		const number = digits.replace(/^0+(?=\d)/, "");
		return String.fromCharCode(48 + Math.min(number.length, 9)) + number;
	});
}

const compare = (a, b) => a < b ? -1 : a > b ? 1 : 0;

let ranks = new Map(); /* the places of the tags that were put in order last */

/* Returns the rows, each with a tag, in the order for people.  The same tags again are not sorted again. */
export function inOrder(rows) {
	if (rows.length !== ranks.size || !rows.every(({tag}) => ranks.has(tag))) {
		const keyed = rows.map(({tag}) => ({tag, key: orderKey(tag)}));
		keyed.sort((a, b) => compare(a.key, b.key) || compare(a.tag, b.tag));
		ranks = new Map(keyed.map(({tag}, rank) => [tag, rank]));
	}
	const ordered = new Array(rows.length);
	for (const row of rows)
		ordered[ranks.get(row.tag)] = row;
	return ordered;
}

/* Puts a name into an element, so that the style can cut it in the middle; the title has all of it. */
export function putName(element, name) {
	if (element.title === name && element.childElementCount === 2)
		return;
	const characters = [...name];
	const [head, tail] = [document.createElement("span"), document.createElement("span")];
	head.className = "head";
	head.textContent = characters.slice(0, -TAIL).join("");
	tail.className = "tail";
	tail.textContent = characters.slice(-TAIL).join("");
	element.replaceChildren(head, tail);
	element.title = name;
}

/* The name, cut in the middle to at most so many characters. */
export function cutName(name, most) {
	const characters = [...name];
	if (characters.length <= most)
		return name;
	const tail = Math.min(TAIL, most >> 1);
	return characters.slice(0, most - tail - 1).join("") + "…" + characters.slice(-tail).join("");
}
