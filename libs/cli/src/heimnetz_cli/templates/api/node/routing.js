// Routes with types: what a request's JSON has to be, and what an answer's is, is a schema as the
// manifest's `endpoints` have it.

import { Response } from 'heimnetz-sdk';

const MAX_BODY_BYTES = 16 * 1024;
const MAX_SHOWN_CHARACTERS = 40;
const MOST_MISTAKES = 10;

export const boolean = { type: 'boolean' };
/** With a length in characters. */
export const text = (shortest, longest) =>
  longest === undefined ? { type: 'string' } : { type: 'string', minLength: shortest, maxLength: longest };
/** Both ends are in it. */
export const integer = (lowest, highest) =>
  highest === undefined ? { type: 'integer' } : { type: 'integer', minimum: lowest, maximum: highest };
export const list = (items) => ({ type: 'array', items });
/** Every property has to be given, unless it is `optional`. */
export function object(properties, optional = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  const needed = required.length ? { required } : {};
  return { type: 'object', additionalProperties: false, ...needed, properties };
}

/** An answer that says what is wrong. */
export class Refusal extends Error {
  constructor(status, detail, headers = {}) {
    super(detail);
    this.response = new Response({ detail }, { status, headers });
  }
}

/**
 * Routes are `{ method, path, call, takes, answers, status }`: `call` gets what `takes` was checked
 * against, where there is such a schema, and then the path's `{names}` by name.
 */
export class Router {
  constructor(routes) {
    this.routes = routes;
  }

  async answer(request) {
    try {
      const { route, names } = this.choose(request);
      const given = route.takes === undefined ? [] : [read(route.takes, documentOf(request))];
      const result = await route.call(...given, names);
      if (result === undefined) return new Response('', { status: 204 });
      return new Response(result, { status: route.status ?? 200 });
    } catch (error) {
      if (error instanceof Refusal) return error.response;
      throw error;
    }
  }

  choose(request) {
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const found = this.routes
      .map((route) => ({ route, names: match(route.path, request.path) }))
      .filter(({ names }) => names !== null);
    const chosen = found.find(({ route }) => route.method === method);
    if (chosen !== undefined) return chosen;
    if (found.length === 0) throw new Refusal(404, 'there is nothing here');
    const allow = [...new Set(found.map(({ route }) => route.method))].sort().join(', ');
    throw new Refusal(405, `this takes ${allow}`, { allow });
  }
}

/** The values of the path's `{names}`, or null where it is another path. */
function match(path, other) {
  const [mine, theirs] = [path.split('/'), other.split('/')];
  if (mine.length !== theirs.length) return null;
  const names = {};
  for (const [at, part] of mine.entries()) {
    if (part.startsWith('{') && theirs[at]) names[part.slice(1, -1)] = theirs[at];
    else if (part !== theirs[at]) return null;
  }
  return names;
}

/** Throws Refusal. */
function documentOf(request) {
  const [kind] = (request.headers['content-type'] ?? '').split(';');
  // A page of another site cannot send this type without asking us first.
  if (kind.trim().toLowerCase() !== 'application/json') throw new Refusal(415, 'send application/json');
  if (request.body.length > MAX_BODY_BYTES) throw new Refusal(413, `there is room for ${MAX_BODY_BYTES} bytes`);
  try {
    return request.json();
  } catch {
    throw new Refusal(422, 'this is no JSON');
  }
}

/** The document, if it is what the schema says. Throws Refusal, with all that is wrong. */
function read(schema, document) {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new Refusal(422, 'send an object');
  }
  const wrong = (schema.required ?? [])
    .filter((name) => !Object.hasOwn(document, name))
    .map((name) => `${name} is missing`);
  for (const [name, value] of Object.entries(document)) {
    if (!Object.hasOwn(schema.properties, name)) {
      wrong.push(`${JSON.stringify(name.slice(0, MAX_SHOWN_CHARACTERS))} is unknown`);
    } else if (!fits(value, schema.properties[name])) {
      const limits = Object.entries(schema.properties[name]).filter(([word]) => word !== 'type');
      const said = limits.map(([word, limit]) => ` ${word} ${limit}`).join('');
      wrong.push(`${name} has to be of type ${schema.properties[name].type}${said}`);
    }
  }
  if (wrong.length) throw new Refusal(422, wrong.slice(0, MOST_MISTAKES).join('; '));
  return document;
}

function fits(value, { type, minLength = 0, maxLength = MAX_BODY_BYTES, minimum, maximum }) {
  if (type === 'boolean') return typeof value === 'boolean';
  if (type === 'integer') {
    return Number.isSafeInteger(value) && value >= (minimum ?? value) && value <= (maximum ?? value);
  }
  const characters = typeof value === 'string' ? [...value].length : -1;
  return characters >= minLength && characters <= maxLength;
}
