// What differs between the systems that the page runs on.

/** The name of the key that commands are called with. */
export const modifier = /Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘" : "Ctrl";
