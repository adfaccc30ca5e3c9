// Values of options that are numbers.

import { InvalidArgumentError } from "commander";

/** @throws {InvalidArgumentError} */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("expected a whole number from 1");
  return value;
}

/** @throws {InvalidArgumentError} */
export function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError("expected a number above 0");
  return value;
}

/** @throws {InvalidArgumentError} */
export function fraction(text: string): number {
  const value = Number(text);
  if (text === "" || !(value >= 0 && value <= 1)) throw new InvalidArgumentError("expected a number from 0 to 1");
  return value;
}

/** @throws {InvalidArgumentError} */
export function finite(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) throw new InvalidArgumentError("expected a number");
  return value;
}

/** @throws {InvalidArgumentError} */
export function port(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError("expected a port, or 0 for any that is free");
  return value;
}
