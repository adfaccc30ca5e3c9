/** What is kept of an Error that stands inside a user's value. */
export interface ErrorParts {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly data?: unknown;
  readonly cause?: unknown;
}

/** An Error made of its parts. Its stack is one line: where it was thrown is not kept. */
export function makeError(parts: ErrorParts): Error {
  const error = new Error(parts.message);
  const set = (name: string, value: unknown, enumerable: boolean): void => {
    Object.defineProperty(error, name, { value, writable: true, configurable: true, enumerable });
  };
  set("name", parts.name, false);
  set("stack", `${parts.name}: ${parts.message}`, false);
  if (parts.code !== undefined) set("code", parts.code, true);
  if (parts.data !== undefined) set("data", parts.data, true);
  if (parts.cause !== undefined) set("cause", parts.cause, false);
  return error;
}
