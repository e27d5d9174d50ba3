// A plugin's own tests: its function called as the platform calls it, without a platform.
// `heimnetz test` hands over the manifest.

export { Refused } from './refusing.js';
export { Plugin } from './running.js';
