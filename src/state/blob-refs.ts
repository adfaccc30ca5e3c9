const SHA256_HEX = /^[0-9a-f]{64}$/;

/**
 * Hashes that facts, snapshots or checkpoints refer to. A session that takes over a value of another (a fork, a nested run) names a blob
 * without handing it in; the store keeps the blob for both. Does not look inside users' values.
 */
export function blobRefs(records: readonly object[]): ReadonlySet<string> {
  let refs: Set<string> | null = null;
  const look = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    if (Array.isArray(value)) {
      for (const item of value) look(item);
      return;
    }
    const record = value as Record<string, unknown>;
    if (typeof record["ref"] === "string" && SHA256_HEX.test(record["ref"])) (refs ??= new Set()).add(record["ref"]);
    for (const key in record) {
      // `v` holds a user's value, which is never a reference; topologies and errors hold none.
      if (key === "v" || key === "topology" || key === "error") continue;
      const item = record[key];
      if (typeof item === "object") look(item);
    }
  };
  for (const record of records) look(record);
  return refs ?? NONE;
}

const NONE: ReadonlySet<string> = new Set();
