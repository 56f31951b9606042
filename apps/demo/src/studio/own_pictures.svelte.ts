import type { Picture } from '../worker/protocol.js';

/** How pictures of one's own are made. */
export type OwnWay = 'draw' | 'camera';

export interface OwnPicture {
  readonly id: number;
  readonly way: OwnWay;
  readonly picture: Picture;
}

export interface OwnClassDraft {
  readonly id: number;
  readonly name: string;
  readonly pictures: readonly OwnPicture[];
}

/** What keeps the pictures from being used. */
export type OwnProblem = 'classes' | 'names' | 'pictures';

/** More would be no longer a matter of drawing. */
const mostPictures = 2000;

/** Classes of pictures that a person draws or shows to the camera: drafts, until they are used as data. */
export class OwnPictures {
  classes = $state.raw<readonly OwnClassDraft[]>([]);
  /** The class that the next picture goes to. */
  active = $state(0);
  way = $state<OwnWay>('draw');
  side = $state<28 | 32 | 48>(28);
  private next = 1;

  readonly count = $derived(this.classes.reduce((sum, { pictures }) => sum + pictures.length, 0));
  /** Colours where the camera made one of them, else greys. */
  readonly channels: 1 | 3 = $derived(
    this.classes.some(({ pictures }) => pictures.some(({ way }) => way === 'camera')) ? 3 : 1,
  );
  readonly problem: OwnProblem | null = $derived(problemOf(this.classes));

  get full(): boolean {
    return this.count >= mostPictures;
  }

  /** Two classes to begin with, where there is none. */
  begin(nameOf: (number: number) => string): void {
    if (this.classes.length > 0) return;
    this.addClass(nameOf(1));
    this.addClass(nameOf(2));
    this.active = this.classes[0].id;
  }

  addClass(name: string): void {
    const id = this.next++;
    this.classes = [...this.classes, { id, name, pictures: [] }];
    this.active = id;
  }

  renameClass(id: number, name: string): void {
    this.change(id, (one) => ({ ...one, name }));
  }

  removeClass(id: number): void {
    this.classes = this.classes.filter((one) => one.id !== id);
    if (this.active === id) this.active = this.classes[0]?.id ?? 0;
  }

  /** Adds to the active class. */
  add(picture: Picture, way: OwnWay): void {
    if (this.full) return;
    const made = { id: this.next++, way, picture };
    this.change(this.active, (one) => ({ ...one, pictures: [...one.pictures, made] }));
  }

  removePicture(classId: number, id: number): void {
    this.change(classId, (one) => ({
      ...one,
      pictures: one.pictures.filter((picture) => picture.id !== id),
    }));
  }

  private change(id: number, f: (one: OwnClassDraft) => OwnClassDraft): void {
    this.classes = this.classes.map((one) => (one.id === id ? f(one) : one));
  }
}

function problemOf(classes: readonly OwnClassDraft[]): OwnProblem | null {
  const names = classes.map(({ name }) => name.trim());
  if (classes.length < 2) return 'classes';
  if (names.includes('') || new Set(names).size < names.length) return 'names';
  return classes.some(({ pictures }) => pictures.length < 2) ? 'pictures' : null;
}
