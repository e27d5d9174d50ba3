import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Plugin } from 'heimnetz-sdk/testing';

let plugin;
beforeEach(() => {
  plugin = new Plugin();
});

test('the example of the manifest holds', async () => {
  await plugin.runExample('a-sentence');
});

test('words of the text and of all files are counted', async () => {
  const run = await plugin.run({ text: 'Red red' }, { files: { 'a.txt': 'green, red.', 'b.txt': 'blue\n' } });

  assert.deepEqual(run.result, { words: 5, most_frequent: 'red' });
  assert.deepEqual(run.log, ['5 words in the text and 2 files']);
});

test('where there are no words none is the most frequent', async () => {
  assert.deepEqual((await plugin.run()).result, { words: 0, most_frequent: null });
});

test('a file that is no text is no failure', async () => {
  const noise = Buffer.from([0xff, 0xfe, 0x00, ...Buffer.from(' word')]);

  assert.ok((await plugin.run({}, { files: { noise } })).result.words >= 1);
});

test('a word between two pieces of a file is one word', async () => {
  const text = `${'word '.repeat(30_000)}end`;

  const run = await plugin.run({}, { files: { 'long.txt': text } });

  assert.deepEqual(run.result, { words: 30_001, most_frequent: 'word' });
});

test('a very long word is cut, and is one word', async () => {
  const long = 'x'.repeat(200_000);

  const run = await plugin.run({ text: long }, { files: { 'long.txt': long } });

  assert.deepEqual(run.result, { words: 2, most_frequent: 'x'.repeat(100) });
});

test('a text of another type is refused', async () => {
  await assert.rejects(plugin.run({ text: 7 }), /has to be a text/);
});

test('it reaches nothing', async () => {
  const run = await plugin.run({ text: 'word' });

  assert.deepEqual(run.granted, []);
  run.assertPermissionsFit();
});
