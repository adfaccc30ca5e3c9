// What a call costs, by the tokens it used.

/** US dollars per million tokens. */
export interface ModelPrice {
  readonly input: number;
  readonly output: number;
  /** Of input tokens that the provider had in its cache. Default: as `input`. */
  readonly cachedInput?: number;
}

export interface TokenCount {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens?: number;
}

export function costUsd(price: ModelPrice | undefined, tokens: TokenCount): number {
  if (price === undefined) return 0;
  const cached = Math.min(tokens.cachedInputTokens ?? 0, tokens.inputTokens);
  const input = (tokens.inputTokens - cached) * price.input + cached * (price.cachedInput ?? price.input);
  return (input + tokens.outputTokens * price.output) / 1_000_000;
}
