/*
 * tag_tree.js
 *	  Tags as a tree of folders, by the slashes in their names.
 */

/* So few tags are read best as a list. */
const FEWEST_TAGS = 25;

const makeFolder = (name, path) => ({name, path, folders: new Map(), entries: [], count: 0});

let last = {root: null, leaves: []}; /* the tree that was made last */

/*
 * The tree of rows, each with a tag, which are in order; null where a list is as good.  Of the same
 * tags it is the same tree with the new rows.
 */
export function makeTree(rows) {
	if (rows.length !== last.leaves.length || !rows.every((row, index) => row.tag === last.leaves[index].row.tag))
		last = grow(rows);
	rows.forEach((row, index) => {
		last.leaves[index].row = row;
	});
	return rows.length >= FEWEST_TAGS && last.root.folders.size > 0 ? last.root : null;
}

function grow(rows) {
	const root = makeFolder("", "");
	const leaves = rows.map(row => {
		const parts = row.tag.split("/");
		const name = parts.pop();
		let folder = root;
		for (const part of parts) {
			if (!folder.folders.has(part)) {
				const inner = makeFolder(part, `${folder.path}${part}/`);
				folder.folders.set(part, inner);
				folder.entries.push({folder: inner});
			}
			folder = folder.folders.get(part);
			folder.count++;
		}
		const leaf = {row, name};
		folder.entries.push(leaf);
		return leaf;
	});
	return {root, leaves};
}

/* A folder whose only entry is a folder is shown with it, as one. */
function joined(folder) {
	let name = folder.name;
	while (folder.entries.length === 1 && folder.entries[0].folder !== undefined) {
		folder = folder.entries[0].folder;
		name += `/${folder.name}`;
	}
	return {folder, name};
}

/*
 * Returns the first most lines of the tree, with what is in folders whose paths are in open: {folder, name,
 * depth, open} and {row, name, depth}.
 */
export function treeLines(root, open, most) {
	const lines = [];
	const walk = (folder, depth) => {
		for (const entry of folder.entries) {
			if (lines.length >= most)
				return;
			if (entry.row !== undefined) {
				lines.push({...entry, depth});
				continue;
			}
			const {folder: inner, name} = joined(entry.folder);
			const isOpen = open.has(inner.path);
			lines.push({folder: inner, name, depth, open: isOpen});
			if (isOpen)
				walk(inner, depth + 1);
		}
	};
	walk(root, 0);
	return lines;
}

/* The paths of the folders that a tag is in. */
export function foldersOf(tag) {
	const parts = tag.split("/").slice(0, -1);
	return parts.map((_, index) => parts.slice(0, index + 1).join("/") + "/");
}
