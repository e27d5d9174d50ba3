import type { Response } from '../serving.js';

/** `code`: EACCES without the grant, EINVAL for nonsense, ENOSPC without room, EAGAIN for later. */
export class Refused extends Error {
  code: string;
}

export interface Asked {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: Buffer;
}

export interface Network {
  /** What was asked, secrets in place. */
  readonly requests: Asked[];
  /** Further answers for the same request come one after the other; the last one stays. */
  answer(
    method: string,
    url: string,
    options?: {
      status?: number;
      json?: unknown;
      body?: Uint8Array | string;
      headers?: Record<string, string>;
    },
  ): void;
  /** From now on nobody answers at `host:port`. */
  fail(target: string): void;
}

/** What a run answered, and what it touched; permissions are grant keys. */
export interface Run {
  readonly result: any;
  readonly log: string[];
  readonly events: [string, any][];
  readonly files: Record<string, Buffer>;
  readonly granted: string[];
  readonly used: string[];
  /** What was tried and was not granted, in order. */
  readonly refused: string[];
  /** Everything that was granted was used, and nothing else was tried. */
  assertPermissionsFit(): void;
  /** No secret of the configuration stands in the log, the result or a file. */
  assertNoSecretShown(): void;
}

export interface RunOptions {
  config?: Record<string, unknown>;
  files?: Record<string, Uint8Array | string>;
  /** Without them, all that the manifest asks for is granted. */
  grants?: string[];
}

/** The project's plugin; its storage lasts over its runs, and each test opens its own. */
export class Plugin {
  readonly network: Network;
  readonly storage: { readonly items: Map<string, Buffer> };
  readonly events: [string, any][];
  /** The time that the plugin sees, from the first `set` on; it stands still until told. */
  readonly clock: { set(at: string | number | Date): void };
  /** What another plugin gives when it is called; an Error is thrown. */
  answerCall(plugin: string, result: unknown): void;
  /**
   * Calls the function as the platform would; what it throws is thrown. The configuration has the
   * schema's defaults, and its keys are checked; its values are for the platform to check.
   */
  run(input?: object, options?: RunOptions): Promise<Run>;
  /** What a service answers to one request; a body that is no text and no bytes is sent as JSON. */
  ask(
    method: string,
    target: string,
    options?: { body?: unknown; headers?: Record<string, string>; config?: Record<string, unknown> },
  ): Promise<Response>;
  /** An example of the manifest; each member of its `output` has to be equal. */
  runExample(name: string): Promise<Run>;
}
