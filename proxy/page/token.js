/*
 * token.js
 *	  The token by which the server knows who asks: asked for once, and kept for the session of the tab.
 *
 * It is in no address, so that no log and no history has it.  The browser forgets it with the tab.
 */

const KEY = "historian-token";

const $ = id => document.getElementById(id);

let asked = null; /* a promise while the user is asked */

/* There is no session outside of a browser, where tests use what needs no page. */
export const token = () => globalThis.sessionStorage?.getItem(KEY) ?? "";

/* The headers of a request by the token. */
export function tokenHeaders() {
	return token() === "" ? {} : {Authorization: `Bearer ${token()}`};
}

function show() {
	$("token-forget").hidden = token() === "";
}

function ask(wrong) {
	const dialog = $("token-dialog");
	$("token-wrong").hidden = !wrong;
	$("token-input").value = "";
	dialog.showModal();
	return new Promise(resolve => {
		$("token-form").onsubmit = event => {
			event.preventDefault();
			const text = $("token-input").value.trim();
			/* What no header can have would be an error of fetch. */
			if (!/^[\x21-\x7e]+$/.test(text)) {
				$("token-wrong").hidden = false;
				return;
			}
			sessionStorage.setItem(KEY, text);
			$("token-input").value = "";
			dialog.close();
			show();
			resolve();
		};
	});
}

/*
 * Resolves when there is another token than the one used, for which it asks the user; all requests wait
 * for one answer.  An aborted request waits no longer.
 */
export async function otherToken(used, signal) {
	if (token() === used && asked === null)
		asked = ask(used !== "").finally(() => {
			asked = null;
		});
	if (asked === null)
		return;
	await new Promise((resolve, reject) => {
		const stop = () => reject(new DOMException("aborted", "AbortError"));
		signal?.addEventListener("abort", stop, {once: true});
		asked.then(() => {
			signal?.removeEventListener("abort", stop);
			resolve();
		});
	});
}

/* Once, when the page is there. */
export function bindToken() {
	/* Without a way around it: the dialog can only be answered. */
	$("token-dialog").addEventListener("cancel", event => event.preventDefault());
	$("token-forget").addEventListener("click", () => {
		sessionStorage.removeItem(KEY);
		location.reload();
	});
	show();
}
