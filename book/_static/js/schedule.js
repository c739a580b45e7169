// When each flashcard is due next, by FSRS (ts-fsrs), and which to show now. It draws nothing and stores nothing.
// A log is plain data, { id: FSRS's card with dates as text }: it can be kept, exported, and merged.

import { createEmptyCard, fsrs, Rating } from "../vendor/ts-fsrs/index.mjs";

export const RATINGS = [["Again", Rating.Again], ["Hard", Rating.Hard], ["Good", Rating.Good], ["Easy", Rating.Easy]];
export const NEW_A_DAY = 20;
const SOON = 20 * 60 * 1000; // a card that comes back within 20 minutes belongs to this sitting

// No fuzz: the same answers give the same dates, so that they can be tested and explained.
const scheduler = fsrs({ enable_fuzz: false, request_retention: 0.9 });

/** The log after a card was rated. now: a Date. */
export function rated(log, id, rating, now) {
  const before = log[id] ?? createEmptyCard(now);
  const { card } = scheduler.next(before, now, rating);
  return { ...log, [id]: JSON.parse(JSON.stringify({ ...card, first: log[id]?.first ?? now })) };
}

/** How long until the card comes back, for each rating, in words. */
export function preview(log, id, now) {
  const options = scheduler.repeat(log[id] ?? createEmptyCard(now), now);
  return RATINGS.map(([name, rating]) => [name, rating, span(new Date(options[rating].card.due) - now)]);
}

/** A time in words: the largest unit that fits. */
export function span(milliseconds) {
  const minutes = Math.max(1, Math.round(milliseconds / 60000));
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  if (hours < 24) return `${hours} h`;
  const days = Math.round(minutes / 1440);
  if (days < 60) return days === 1 ? "1 day" : `${days} days`;
  const months = Math.round(days / 30.4);
  return months < 24 ? `${months} months` : `${(days / 365).toFixed(1)} years`;
}

/**
 * What to show now out of ids: first what is due, the longest overdue first; then new cards, in their order, up to what
 * is left of today's; then what comes back within minutes.
 * Returns { due, fresh, soon }, three lists of ids.
 */
export function queue(log, ids, now, newADay = NEW_A_DAY) {
  const known = ids.filter((id) => log[id]), at = (id) => new Date(log[id].due) - now;
  const byDate = (a, b) => at(a) - at(b);
  const today = Object.values(log).filter((card) => card.first && new Date(card.first).toDateString() === now.toDateString()).length;
  return {
    due: known.filter((id) => at(id) <= 0).sort(byDate),
    fresh: ids.filter((id) => !log[id]).slice(0, Math.max(0, newADay - today)),
    soon: known.filter((id) => at(id) > 0 && at(id) <= SOON).sort(byDate),
  };
}

/** When the next of these ids is due after now, as a Date, or null. */
export function next(log, ids, now) {
  const dates = ids.filter((id) => log[id]).map((id) => new Date(log[id].due)).filter((date) => date > now);
  return dates.length ? new Date(Math.min(...dates)) : null;
}

/** Two logs as one: of a card that both have, the later review stands. */
export function merged(mine, theirs) {
  const all = { ...mine };
  for (const [id, card] of Object.entries(theirs)) {
    if (!all[id] || new Date(card.last_review) > new Date(all[id].last_review)) all[id] = card;
  }
  return all;
}

/** The log in an exported file's text. Throws an Error that says what is wrong, and never half a log. */
export function imported(text) {
  let told;
  try {
    told = JSON.parse(text);
  } catch {
    throw new Error("This is no JSON file: choose the file that “Export” saved.");
  }
  if (told?.kind !== "transformer-systems reviews" || told.version !== 1 || typeof told.cards !== "object" || told.cards === null) {
    throw new Error("This file holds no reviews of this book: choose the file that “Export” saved.");
  }
  for (const [id, card] of Object.entries(told.cards)) {
    const numbers = ["stability", "difficulty", "scheduled_days", "reps", "lapses", "state"].every((name) => Number.isFinite(card?.[name]));
    if (!numbers || Number.isNaN(Date.parse(card.due)) || Number.isNaN(Date.parse(card.last_review))) {
      throw new Error(`The file's card “${id}” is damaged; nothing was imported.`);
    }
  }
  return told.cards;
}

/** A log as the text of a file to keep. */
export function exported(log) {
  return JSON.stringify({ kind: "transformer-systems reviews", version: 1, cards: log }, null, 1);
}
