// Keys of the durable store
//
//   !ahead               number of the last record that came by way of the write-ahead file, if any did
//   !ahead-file          there is such a file: one that is missing was lost
//   !apart               keys of what was put apart from its batch, until the batch counts
//   !format              version of this layout
//   h/<sid>              head: last n, epoch, id and time, first n kept       written with every commit
//   c/<sid>/<n>          commit
//   e/<sid>              index entry                                          written when it changes
//   s/<sid>/<n>          snapshot after commit n
//   k/<sid>/<cp>         checkpoint, i/<cp> the session it belongs to
//   b/<sha256>           blob, r/<sha256>/<sid> and q/<sid>/<sha256> who refers to it, found from either end
//
// A session id holds no "/", so that no range reaches into another session.

export const AHEAD_KEY = "!ahead";
export const AHEAD_FILE_KEY = "!ahead-file";
export const APART_KEY = "!apart";
export const FORMAT_KEY = "!format";
export const STORE_FORMAT = 1;

/** Numbers are padded so that their order is that of the keys. */
function position(n: number): string {
  return String(Math.min(n, 999_999_999_999)).padStart(12, "0");
}

export const keys = {
  head: (sid: string): string => `h/${sid}`,
  commit: (sid: string, n: number): string => `c/${sid}/${position(n)}`,
  entry: (sid: string): string => `e/${sid}`,
  snapshot: (sid: string, n: number): string => `s/${sid}/${position(n)}`,
  checkpoint: (sid: string, id: string): string => `k/${sid}/${encodeURIComponent(id)}`,
  checkpointSession: (id: string): string => `i/${encodeURIComponent(id)}`,
  blob: (ref: string): string => `b/${ref}`,
  blobUser: (ref: string, sid: string): string => `r/${ref}/${sid}`,
  usedBlob: (sid: string, ref: string): string => `q/${sid}/${ref}`,
};

/** The range of all keys of one letter, or of one letter and its first part. `0` is the character after `/`. */
export function rangeOf(letter: string, part?: string): readonly [string, string] {
  return part === undefined ? [`${letter}/`, `${letter}0`] : [`${letter}/${part}/`, `${letter}/${part}0`];
}

/** `parts("c/s1/0001")` is `["s1", "0001"]`. */
export function partsOf(key: string): readonly string[] {
  return key.split("/").slice(1);
}

const SESSION = "[\\p{L}\\p{N}_.:@+-]{1,200}";
const HASH = "[0-9a-f]{64}";
/** What `encodeURIComponent` makes. */
const ENCODED = "[\\w.!~*'()%-]+";
const OWN_KEY = new RegExp(
  `^(?:[he]/${SESSION}|[cs]/${SESSION}/\\d{12}|k/${SESSION}/${ENCODED}|i/${ENCODED}|b/${HASH}|r/${HASH}/${SESSION}|q/${SESSION}/${HASH}|!ahead|!ahead-file|!format)$`,
  "u",
);

/** Whether the store writes such keys at all. */
export function isOwnKey(key: string): boolean {
  return OWN_KEY.test(key);
}

/** The session whose key it is; null for one that says nothing of it. */
export function sessionOf(key: string): string | null {
  const [first, second] = partsOf(key);
  if (/^[hecskq]\//.test(key)) return first ?? null;
  return key.startsWith("r/") ? (second ?? null) : null;
}
