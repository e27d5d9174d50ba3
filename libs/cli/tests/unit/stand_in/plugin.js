'use strict';
// Does what the test says, with the context that it was given.

module.exports = (input, context) => globalThis.act(context, input);
