// A shopping list for everybody at home, as an HTTP service.
//
// A route is a row of `routesOf`; what it takes and answers are the schemas below.

import { randomBytes } from 'node:crypto';
import { Refusal, Router, boolean, integer, list, object, text } from './routing.js';

export const KEY = 'items';
export const MAX_ITEMS = 200;
const AMOUNT = integer(1, 999);
const NEW_ITEM = object({ name: text(1, 80), amount: AMOUNT }, ['amount']);
/** What is not given stays. */
const CHANGE = object({ amount: AMOUNT, is_bought: boolean }, ['amount', 'is_bought']);
const ITEM = object({ id: text(), name: text(), amount: integer(), is_bought: boolean });
const ITEMS = object({ items: list(ITEM) });
const HEALTH = object({ ok: boolean });

/** The list is one value of the storage; who changes it waits for who does already. */
class ShoppingList {
  #storage;
  #last = Promise.resolve();

  constructor(storage) {
    this.#storage = storage;
  }

  async all() {
    return { items: [...(await this.#load()).values()].sort(inOrder) };
  }

  add({ name, amount = 1 }) {
    const item = { id: randomBytes(8).toString('hex'), name, amount, is_bought: false };
    return this.#change((items) => {
      if (items.size >= MAX_ITEMS) throw new Refusal(507, `the list has room for ${MAX_ITEMS} items`);
      items.set(item.id, item);
      return item;
    });
  }

  async one(id) {
    return chosen(await this.#load(), id);
  }

  change(change, id) {
    return this.#change((items) => {
      const item = { ...chosen(items, id), ...change };
      items.set(id, item);
      return item;
    });
  }

  remove(id) {
    return this.#change((items) => {
      items.delete(chosen(items, id).id);
    });
  }

  #change(act) {
    const made = this.#last.then(async () => {
      const items = await this.#load();
      const result = act(items);
      await this.#keep(items);
      return result;
    });
    this.#last = made.catch(() => {});
    return made;
  }

  async #load() {
    const kept = await this.#storage.get(KEY);
    const rows = kept === null ? [] : JSON.parse(kept.toString());
    return new Map(rows.map((row) => [row.id, row]));
  }

  async #keep(items) {
    try {
      await this.#storage.put(KEY, JSON.stringify([...items.values()]));
    } catch (error) {
      if (error.code === 'ENOSPC') throw new Refusal(507, 'there is no more room');
      throw error;
    }
  }
}

const compare = (a, b) => (a < b ? -1 : Number(a > b));

function inOrder(a, b) {
  return (
    a.is_bought - b.is_bought ||
    compare(a.name.toLowerCase(), b.name.toLowerCase()) ||
    compare(a.id, b.id)
  );
}

/** Throws Refusal. */
function chosen(items, id) {
  if (!items.has(id)) throw new Refusal(404, 'there is no such item');
  return items.get(id);
}

/** The manifest's `endpoints` say the same to whoever calls. */
export function routesOf(items) {
  return [
    { method: 'GET', path: '/healthz', call: () => ({ ok: true }), answers: HEALTH },
    { method: 'GET', path: '/items', call: () => items.all(), answers: ITEMS },
    { method: 'POST', path: '/items', call: (wish) => items.add(wish), takes: NEW_ITEM, answers: ITEM, status: 201 },
    { method: 'GET', path: '/items/{id}', call: ({ id }) => items.one(id), answers: ITEM },
    { method: 'PATCH', path: '/items/{id}', call: (change, { id }) => items.change(change, id), takes: CHANGE, answers: ITEM },
    { method: 'DELETE', path: '/items/{id}', call: ({ id }) => items.remove(id) },
  ];
}

/**
 * @param {import('heimnetz-sdk').Input} _input
 * @param {import('heimnetz-sdk').ServiceContext} context
 */
export async function run(_input, context) {
  const router = new Router(routesOf(new ShoppingList(context.storage)));
  await context.serve((request) => router.answer(request));
}
