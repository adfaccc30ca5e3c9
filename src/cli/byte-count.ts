// Numbers of bytes, for people.

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

export function byteCount(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}
