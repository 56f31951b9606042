export type CodePart = 'comment' | 'string' | 'number' | 'keyword' | 'plain';

export interface CodeSpan {
  readonly kind: CodePart;
  readonly text: string;
}

const pattern =
  /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<string>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|(?<keyword>\b(?:import|from|export|const|let|await|async|function|return|for|of|in|if|else|new|type|interface|as|true|false|null|undefined)\b)|(?<number>(?<![\w$.])\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?\b)/g;

/** TypeScript in parts to be coloured; together they are the text. */
export function highlight(code: string): CodeSpan[] {
  const spans: CodeSpan[] = [];
  let end = 0;
  for (const match of code.matchAll(pattern)) {
    if (match.index > end) spans.push({ kind: 'plain', text: code.slice(end, match.index) });
    const kind = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0] as CodePart;
    spans.push({ kind, text: match[0] });
    end = match.index + match[0].length;
  }
  if (end < code.length) spans.push({ kind: 'plain', text: code.slice(end) });
  return spans;
}
