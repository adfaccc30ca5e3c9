/** Agents of a row, one after another. */
export const ROW = 10;
