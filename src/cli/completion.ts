// Completion: scripts for three shells, made from the commands themselves, so they cannot fall behind. All that may be
// completed is written into the script: a key press starts no process and opens no store.

import type { Argument, Command, Option } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** What may stand in a place. */
type Values = "files" | "folders" | "unknown" | readonly string[];

interface Flag {
  /** With their dashes, the long one first. */
  readonly names: readonly string[];
  readonly description: string;
  /** Undefined for a flag without a value. */
  readonly values: Values | undefined;
}
interface Place {
  /** The words that lead there: `doctor`, `orchestrate memory search`. */
  readonly name: string;
  readonly description: string;
  readonly flags: readonly Flag[];
  /** Of its arguments, the last of which stands for all that follow. */
  readonly args: readonly Values[];
}

export function completionScript(program: Command, shell: Shell): string {
  const help = program.createHelp();
  const placesIn = (command: Command, words: readonly string[]): Place[] =>
    help.visibleCommands(command).flatMap((inner): Place[] => {
      const name = inner.name();
      if (name === "help" && words.length > 0) return [];
      const next = name === "help" ? program.commands : inner.commands;
      const place: Place = {
        name: [...words, name].join(" "),
        description: inner.description(),
        flags: help.visibleOptions(inner).map(flagOf),
        args: next.length > 0 ? [next.map((one) => one.name())] : inner.registeredArguments.map(valuesOf),
      };
      return [place, ...placesIn(inner, [...words, name])];
    });
  const places = placesIn(program, []);
  const own = help.visibleOptions(program).map(flagOf);
  return { bash, zsh, fish }[shell](program.name(), places, own);
}

function flagOf(option: Option): Flag {
  return {
    names: [option.long, option.short].filter((name) => name !== undefined && name !== null),
    description: option.description,
    values: option.required || option.optional ? valuesOf(option) : undefined,
  };
}

function valuesOf(place: Argument | Option): Values {
  if (place.argChoices !== undefined) return place.argChoices;
  const name = "flags" in place ? place.flags : place.name();
  return /\bfile\b/.test(name.replace(/--?[\w-]+/g, "")) ? "files" : /\bdir\b/.test(name) ? "folders" : "unknown";
}

function bash(program: string, places: readonly Place[], own: readonly Flag[]): string {
  const reply = (values: Values): string =>
    values === "files"
      ? `_${program}_paths -f`
      : values === "folders"
        ? `_${program}_paths -d`
        : values === "unknown"
          ? "COMPREPLY=()"
          : `_${program}_words "${values.join(" ")}"`;
  const names = (flags: readonly Flag[]): string => flags.flatMap((flag) => flag.names).join(" ");
  const cases = casesOf(places, reply, (flags) => `_${program}_words "${names(flags)}"`);
  return `# Completion of ${program} for bash: source <(${program} completion bash)
_${program}_words() { COMPREPLY=($(compgen -W "$1" -- "$current")); }
_${program}_paths() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen "$1" -- "$current"))
}
_${program}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command="" count=0 i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} == -* ]]; then continue; fi
    case "\${command:+$command }\${COMP_WORDS[i]}" in
      ${labelsOf(places)}) command="\${command:+$command }\${COMP_WORDS[i]}"; count=1 ;;
      *) if [[ -n $command ]]; then ((count++)); fi ;;
    esac
  done
  case "$command" in
    "") _${program}_words "${places.flatMap(({ name }) => (isInner(name) ? [] : [name])).join(" ")} ${names(own)}" ;;
${cases.join("\n")}
  esac
}
complete -F _${program} ${program}
`;
}

/** What bash and zsh have in common: a case for each command. `offer` is how a shell offers its options. */
function casesOf(
  places: readonly Place[],
  reply: (values: Values) => string,
  offer: (flags: readonly Flag[]) => string,
): string[] {
  return places.map(({ name, flags, args }) => {
    const valued = flags.flatMap((flag) =>
      flag.values === undefined ? [] : [`        ${flag.names.join("|")}) ${reply(flag.values)}; return ;;`],
    );
    const own = args.map((values, i) => `        ${i === args.length - 1 ? "*" : i + 1}) ${reply(values)} ;;`);
    return [
      `    ${labelOf(name)})`,
      ...(valued.length === 0 ? [] : ['      case "$previous" in', ...valued, "      esac"]),
      `      if [[ $current == -* ]]; then ${offer(flags)}; return; fi`,
      ...(own.length === 0 ? [] : ['      case "$count" in', ...own, "      esac"]),
      "      ;;",
    ].join("\n");
  });
}

function zsh(program: string, places: readonly Place[], own: readonly Flag[]): string {
  const reply = (values: Values): string =>
    values === "files"
      ? "_files"
      : values === "folders"
        ? "_files -/"
        : values === "unknown"
          ? "_message value"
          : `compadd -- ${values.join(" ")}`;
  const listed = (flags: readonly Flag[]): string =>
    flags.flatMap(({ names, description }) => names.map((name) => quoted(`${name}:${description}`))).join(" ");
  const cases = casesOf(places, reply, (flags) => `found=(${listed(flags)}); _describe option found`);
  const commands = places
    .filter(({ name }) => !isInner(name))
    .map(({ name, description }) => quoted(`${name}:${description}`))
    .join(" ");
  return `#compdef ${program}
# Completion of ${program} for zsh: source <(${program} completion zsh)
_${program}() {
  local current=\${words[CURRENT]} previous=\${words[CURRENT-1]} command="" count=0 i
  local -a found
  for ((i = 2; i < CURRENT; i++)); do
    if [[ \${words[i]} == -* ]]; then continue; fi
    case "\${command:+$command }\${words[i]}" in
      ${labelsOf(places)}) command="\${command:+$command }\${words[i]}"; count=1 ;;
      *) if [[ -n $command ]]; then ((count++)); fi ;;
    esac
  done
  case "$command" in
    "") found=(${commands} ${listed(own)}); _describe command found ;;
${cases.join("\n")}
  esac
}
compdef _${program} ${program}
`;
}

function fish(program: string, places: readonly Place[], own: readonly Flag[]): string {
  const values = (of: Values | undefined): string =>
    of === undefined
      ? ""
      : of === "files"
        ? " -r -F"
        : of === "folders"
          ? ` -x -a "(__fish_complete_directories)"`
          : of === "unknown"
            ? " -x"
            : ` -x -a ${quoted(of.join(" "))}`;
  const flagsOf = (flags: readonly Flag[], when: string): string[] =>
    flags.map(({ names, description, values: of }) => {
      const spelt = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
      return `complete -c ${program} -n ${when} ${spelt.join(" ")}${values(of)} -d ${quoted(description)}`;
    });
  const lines = places.flatMap(({ name, description, flags, args }) => {
    const when = quoted(
      name
        .split(" ")
        .map((word) => `__fish_seen_subcommand_from ${word}`)
        .join("; and "),
    );
    const [first] = args;
    return [
      ...(isInner(name)
        ? []
        : [`complete -c ${program} -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`]),
      ...flagsOf(flags, when),
      ...(first === "files" || args.at(-1) === "files" ? [`complete -c ${program} -n ${when} -F`] : []),
      ...(typeof first === "object" ? [`complete -c ${program} -n ${when} -a ${quoted(first.join(" "))}`] : []),
    ];
  });
  return `# Completion of ${program} for fish: ${program} completion fish > ~/.config/fish/completions/${program}.fish
complete -c ${program} -f
${[...flagsOf(own, "__fish_use_subcommand"), ...lines].join("\n")}
`;
}

function isInner(name: string): boolean {
  return name.includes(" ");
}

function labelsOf(places: readonly Place[]): string {
  return places.map(({ name }) => labelOf(name)).join("|");
}

function labelOf(name: string): string {
  return isInner(name) ? `"${name}"` : name;
}

/** For any of the three shells; a quote inside becomes a typographic one. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’").replaceAll("\\", "")}'`;
}
