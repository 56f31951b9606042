import { Writable } from 'node:stream';

/** A terminal of a given size: what a person sees after everything that was written to it. */
export class Screen extends Writable {
  readonly isTTY = true;
  readonly rows = 24;
  /** What was written, one entry a write. */
  readonly writes: string[] = [];
  /** Whether a line ever ran over the right edge. */
  wrapped = false;
  private lines: string[][] = [[]];
  private row = 0;
  private column = 0;

  constructor(readonly columns: number) {
    super({ decodeStrings: false });
  }

  override _write(text: string, _encoding: string, done: () => void): void {
    this.writes.push(text);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes are what a terminal reads
    const token = /\u001b\[(?<parameters>[?\d;]*)(?<command>[A-Za-z])|(?<character>[^\u001b])/gu;
    const tokens = text.matchAll(token);
    for (const { groups = {} } of tokens) {
      if (groups.character) this.put(groups.character);
      else this.command(groups.command, groups.parameters);
    }
    done();
  }

  /** The lines, without the empty ones at the end. */
  text(): string {
    return this.lines
      .map((line) => line.join('').trimEnd())
      .join('\n')
      .trimEnd();
  }

  private put(character: string): void {
    if (character === '\n') {
      this.down();
      this.column = 0;
      return;
    }
    const width =
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]|\p{Emoji_Presentation}/u.test(
        character,
      )
        ? 2
        : 1;
    if (this.column + width > this.columns) {
      this.wrapped = true;
      this.down();
      this.column = 0;
    }
    const line = this.lines[this.row];
    while (line.length < this.column) line.push(' ');
    line[this.column] = character;
    if (width === 2) line[this.column + 1] = '';
    this.column += width;
  }

  private down(): void {
    this.row++;
    this.lines[this.row] ??= [];
  }

  private command(name: string, parameters: string): void {
    const count = Number(parameters || 1);
    if (name === 'A') this.row = Math.max(0, this.row - count);
    else if (name === 'B') for (let i = 0; i < count; i++) this.down();
    else if (name === 'G') this.column = count - 1;
    else if (name === 'K') this.lines[this.row].splice(parameters === '2' ? 0 : this.column);
    else if (name !== 'm' && !parameters.startsWith('?')) throw new Error(`ESC[${parameters}${name}?`);
  }
}
