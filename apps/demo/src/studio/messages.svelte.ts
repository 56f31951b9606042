import { plainError } from '../worker/calls.js';
import type { PlainError } from '../worker/protocol.js';

/** Something that the page tells: an error, or a sentence. */
export interface Message {
  readonly id: number;
  readonly error?: PlainError;
  readonly text?: string;
}

/** What stands at the foot of the page until it is dismissed; an equal message isn't repeated. */
export class Messages {
  list = $state.raw<readonly Message[]>([]);
  private next = 1;

  tell(text: string): void {
    if (!this.list.some((message) => message.text === text)) this.add({ text });
  }

  fail(error: unknown): void {
    const plain = plainError(error);
    if (!this.list.some((message) => message.error?.message === plain.message)) this.add({ error: plain });
  }

  dismiss(id: number): void {
    this.list = this.list.filter((message) => message.id !== id);
  }

  /** For handlers: whatever `f` throws is told. */
  readonly trying = async (f: () => Promise<void> | void): Promise<void> => {
    try {
      await f();
    } catch (error) {
      this.fail(error);
    }
  };

  private add(message: Omit<Message, 'id'>): void {
    this.list = [...this.list.slice(-3), { id: this.next++, ...message }];
  }
}
