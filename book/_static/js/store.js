// Keeps a reader's own record in this browser and nowhere else: reviews, ticks. It sends nothing.
// Storage can be missing, full, or hold what another version wrote: then readers are told, and nothing is overwritten.

const PREFIX = "transformer-systems:";

/**
 * A record under a name. version: of the shape of what is stored; empty: what it is before anything was kept.
 * Returns { value, keep(value), trouble }: trouble is a sentence for the reader, or "".
 */
export function record(name, version, empty) {
  const key = PREFIX + name, held = { value: structuredClone(empty), trouble: "", locked: false };
  try {
    const text = localStorage.getItem(key);
    if (text !== null) {
      const told = JSON.parse(text);
      if (told.version === version) held.value = told.value;
      else Object.assign(held, { locked: true, trouble: "This browser holds a record of another version of the book. It is left as it is, and what you do now is not kept." });
    }
  } catch (error) {
    // Rubbish is kept aside rather than lost; no storage at all is only said.
    held.trouble = error instanceof SyntaxError ? aside(key) : "This browser keeps nothing for this page (a private window, perhaps): your record ends when you leave.";
  }
  held.keep = (value) => {
    held.value = value;
    if (held.locked) return false;
    try {
      localStorage.setItem(key, JSON.stringify({ version, value }));
      return true;
    } catch {
      held.trouble = "This browser cannot keep your record (storage is off or full): export it before you leave.";
      return false;
    }
  };
  return held;
}

function aside(key) {
  localStorage.setItem(`${key}:unreadable`, localStorage.getItem(key));
  localStorage.removeItem(key);
  return `Your record could not be read. It was put aside under “${key}:unreadable”, and a new one begins.`;
}

/** Offer a value as a file to save. */
export function download(name, text, type = "application/json") {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
