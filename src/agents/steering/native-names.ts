// Native names: what the tools of steering are called beside the agent's own, which keep their names.

export interface NativeNames {
  readonly invoke: string;
  readonly final: string;
  readonly ask: string;
  readonly recover: string;
}

export function nativeNames(tools: readonly string[]): NativeNames {
  const taken = new Set(tools);
  const free = (name: string): string => {
    let candidate = name;
    for (let n = 1; taken.has(candidate); n++) candidate = n === 1 ? `team_${name}` : `team_${name}_${n}`;
    return candidate;
  };
  return {
    invoke: free("invoke_agent"),
    final: free("final_response"),
    ask: free("ask_user"),
    recover: free("error_recovery"),
  };
}
