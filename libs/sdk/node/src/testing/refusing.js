// What the platform refuses, as a plugin hears it.

/** `code`: EACCES without the grant, EINVAL for nonsense, ENOSPC without room, EAGAIN for later. */
export class Refused extends Error {
  constructor(code, text) {
    super(text);
    this.name = 'Refused';
    this.code = code;
  }
}
