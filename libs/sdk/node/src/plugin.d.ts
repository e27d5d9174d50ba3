import type { Request, Response } from './serving.js';

export { Request, Response } from './serving.js';

export type JSON = boolean | number | string | null | JSON[] | { [name: string]: JSON };
export type Input = Readonly<Record<string, any>>;
/** What JSON can say; `undefined` is null. */
export type Output = unknown;

/**
 * What is thrown where the platform refuses. `code`: EACCES without the grant, EINVAL for nonsense,
 * ENOSPC without room, EAGAIN for later.
 */
export interface Refused extends Error {
  code: 'EACCES' | 'EINVAL' | 'ENOSPC' | 'EAGAIN';
}

/** `outcome` is how the called plugin's run ended. */
export interface CallFailed extends Error {
  outcome: string;
}

/**
 * What a plugin keeps between its runs, within the bytes that it was granted.
 *
 * A key has 1 to 200 of `A-Z a-z 0-9 . _ / : @ -`, and no `..`; a value has at most 1 MiB. Rejects
 * with `Refused`.
 */
export interface Storage {
  /** Null where nothing was put. */
  get(key: string): Promise<Buffer | null>;
  put(key: string, value: Uint8Array | string): Promise<void>;
  /** Also fine when there is nothing. */
  delete(key: string): Promise<void>;
  /** In order; all that begin with `prefix`. */
  keys(prefix?: string): Promise<string[]>;
}

/** An answer, whatever its status; `headers` has its names in lower case. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer;
  readonly text: string;
  json(): any;
}

export interface FetchOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  /** In seconds; 30 unless given. */
  timeout?: number;
}

/** What the platform hands to one run. */
export interface Context {
  /** The installation's configuration, valid by the manifest's schema, secrets in clear. */
  readonly config: Readonly<Record<string, any>>;
  /** Paths of the files of this run by the name they were sent with; read-only. */
  readonly files: Readonly<Record<string, string>>;
  /** An empty directory; what is in it at the end is kept with the run. */
  readonly out: string;
  readonly storage: Storage;
  readonly run_id: string;
  /** 32 hexadecimal digits; the same trace reaches from the gateway to this run's log. */
  readonly trace_id: string;
  /**
   * One HTTP request to a host that was granted. A redirect is answered, not followed.
   *
   * A secret that the manifest names a host for is a placeholder in the configuration. Put it into
   * the URL or a header, `Authorization: Basic` included, and the host gets the value. Rejects with
   * `Refused`, EINVAL for an answer of more than 16 MiB.
   */
  fetch(url: string, options?: FetchOptions): Promise<Answer>;
  /** Announces an event that the plugin may publish: at most 64 KiB, and 100 of a run. */
  publish(event: string, data: object): Promise<void>;
  /** The result of another plugin that this one may call. Rejects with `Refused` or `CallFailed`. */
  call(plugin: string, input?: object): Promise<any>;
  /** Adds a line to the run's log, which is capped (256 KiB unless the manifest asks). */
  log(message: unknown): void;
}

/** What `handle` gives is sent: a `Response`; bytes; text, as HTML; or anything else as JSON. */
export type Handle = (request: Request) => unknown | Promise<unknown>;

/** What a plugin of kind `service` is given besides. */
export interface ServiceContext extends Context {
  /** Answers each request until the container ends. What `handle` throws is 500, and is logged. */
  serve(handle: Handle): Promise<never>;
  /** For a server of its own: `server.listen(context.listener)`. */
  readonly listener: object;
}

/** The shape of an entry point. */
export type Plugin = (input: Input, context: Context) => Output | Promise<Output>;
export type Service = (input: Input, context: ServiceContext) => Promise<unknown>;
