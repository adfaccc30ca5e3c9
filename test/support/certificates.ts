// Certificates for a test, made by `openssl`: authorities, and what they sign.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Paths of PEM files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Certificate {
  /** For a server of that host, and for clients. Default `localhost`. */
  sign(name: string, host?: string): Certificate;
}

/**
 * An authority of its own, valid for a day; its files are in `folder`.
 * @throws an `Error` that says what to install where there is no openssl.
 */
export function createAuthority(folder: string, name: string): Authority {
  const cert = join(folder, `${name}.pem`);
  const key = join(folder, `${name}.key`);
  openssl("req", "-x509", ...newKey(key), "-days", "1", "-subj", `/CN=${name}`, "-out", cert);
  return {
    cert,
    key,
    sign(signedName, host = "localhost") {
      const signed = { cert: join(folder, `${signedName}.pem`), key: join(folder, `${signedName}.key`) };
      const request = join(folder, `${signedName}.csr`);
      const extensions = join(folder, `${signedName}.ext`);
      writeFileSync(extensions, `subjectAltName = DNS:${host}\nextendedKeyUsage = serverAuth, clientAuth\n`);
      openssl("req", ...newKey(signed.key), "-subj", `/CN=${signedName}`, "-out", request);
      const by = ["-CA", cert, "-CAkey", key, "-CAcreateserial"];
      openssl("x509", "-req", "-in", request, ...by, "-days", "1", "-extfile", extensions, "-out", signed.cert);
      return signed;
    },
  };
}

function newKey(path: string): readonly string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path];
}

function openssl(...args: readonly string[]): void {
  try {
    execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new Error("certificates for the test need `openssl`: apt-get install openssl", { cause });
  }
}
