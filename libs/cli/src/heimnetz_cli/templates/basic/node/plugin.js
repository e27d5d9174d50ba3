// Counts the words of a text, and of the files that come with it.

import { createReadStream } from 'node:fs';

const MAX_WORD_CHARACTERS = 100;
const MAX_DIFFERENT_WORDS = 50_000;
const PIECE_BYTES = 64 * 1024;
const LETTER = /[\p{L}\p{N}_]/u;

/**
 * @param {import('heimnetz-sdk').Input} input
 * @param {import('heimnetz-sdk').Context} context
 */
export async function run(input, context) {
  const text = input.text ?? '';
  if (typeof text !== 'string') throw new TypeError('text has to be a text');
  const counts = new Map();
  let total = 0;
  for await (const word of words(text, Object.values(context.files))) {
    total += 1;
    if (counts.has(word) || counts.size < MAX_DIFFERENT_WORDS) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  context.log(`${total} words in the text and ${Object.keys(context.files).length} files`);
  return { words: total, most_frequent: mostFrequent(counts) };
}

/** The first of those that come most often, or null where there is none. */
function mostFrequent(counts) {
  let [found, most] = [null, 0];
  for (const [word, count] of counts) if (count > most) [found, most] = [word, count];
  return found;
}

/** A file is read in pieces, so that its size does not matter. */
async function* words(text, paths) {
  yield* split(text);
  for (const path of paths) {
    let rest = '';
    for await (const piece of createReadStream(path, { encoding: 'utf8', highWaterMark: PIECE_BYTES })) {
      const whole = rest + piece;
      const end = endOfWords(whole);
      yield* split(whole.slice(0, end));
      // Of a word that goes on in the next piece, no more than counts.
      rest = whole.slice(end, end + MAX_WORD_CHARACTERS);
    }
    yield* split(rest);
  }
}

/** Where the last word begins that may not be over yet. */
function endOfWords(text) {
  let at = text.length;
  while (at > 0 && LETTER.test(text[at - 1])) at -= 1;
  return at;
}

function* split(text) {
  for (const [word] of text.toLowerCase().matchAll(/[\p{L}\p{N}_]+/gu)) {
    yield word.slice(0, MAX_WORD_CHARACTERS);
  }
}
