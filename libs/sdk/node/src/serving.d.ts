import type { Server } from 'node:http';
import type { Handle } from './plugin.js';

/** `headers` has its names in lower case; `query` the values of each name in order. */
export class Request {
  constructor(method: string, target: string, headers: Record<string, string>, body: Buffer);
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string[]>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Throws SyntaxError. */
  json(): any;
}

/** `body` is bytes, text (as HTML), or anything else as JSON. */
export class Response {
  constructor(
    body?: unknown,
    options?: { status?: number; headers?: Record<string, string | string[]> },
  );
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer;
  readonly text: string;
  json(): any;
}

export function answer(handle: Handle, request: Request): Promise<Response>;
export function createServer(handle: Handle): Server;
export function serve(listener: object, handle: Handle): Promise<never>;
