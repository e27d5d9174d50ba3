// What a plugin imports by `heimnetz-sdk`; its types are beside it. Part of the Node runtime, and
// Node's own modules only.

export { Request, Response } from './serving.js';
