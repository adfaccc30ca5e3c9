// Key pattern: a key in which `*` stands for any characters, none included.

/** In steps as the lengths of both added up, however many stars there are: each part is taken where it comes first. */
export function matchesKey(pattern: string, key: string): boolean {
  const [first = "", ...others] = pattern.split("*");
  const last = others.pop();
  if (last === undefined) return key === pattern;
  if (!key.startsWith(first) || !key.endsWith(last)) return false;
  let at = first.length;
  for (const part of others) {
    const found = key.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= key.length - last.length;
}
