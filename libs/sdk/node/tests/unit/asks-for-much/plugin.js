// Does what the test says, with the context that it was given.

export default (input, context) => globalThis.act(context, input);
