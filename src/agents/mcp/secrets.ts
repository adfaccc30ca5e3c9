// Secrets: what a server was given to show who asks, which no error may repeat.

import { errorToData } from "../../base/error-data.ts";
import { SecretMask } from "../command/secret-mask.ts";
import { isHttp, type McpServerOptions } from "./options.ts";

const LENGTH_MIN = 6;

/** Hides the values of `env` and `headers`, and the words of a header: of `Bearer abc…` a server may repeat a part. */
export function maskOf(options: McpServerOptions): SecretMask {
  const given = isHttp(options)
    ? Object.values(options.headers ?? {}).flatMap((value) => [value, ...value.split(/\s+/)])
    : Object.values(options.env ?? {});
  return new SecretMask(given.filter((value) => value.length >= LENGTH_MIN && SecretMask.accepts(value)));
}

/** The error as a cause, if there is nothing in it to hide. */
export function causeWithoutSecrets(mask: SecretMask, error: unknown): unknown {
  const plain = JSON.stringify(errorToData(error));
  return mask.mask(plain) === plain ? error : undefined;
}
