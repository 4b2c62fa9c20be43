/*
 * copy.js
 *	  Text to the clipboard.
 */

const SAID_MS = 2000;

/*
 * Copies a text, and says so on the button.  Browsers allow the clipboard only over TLS or on this
 * machine; otherwise element, which has the text, is selected.
 */
export async function copyText(text, button, element) {
	const before = button.dataset.text ??= button.textContent;
	try {
		await navigator.clipboard.writeText(text);
		button.textContent = "Copied";
	} catch {
		element.hidden = false;
		getSelection().selectAllChildren(element);
		button.textContent = "Selected";
	}
	setTimeout(() => {
		button.textContent = before;
	}, SAID_MS);
}
