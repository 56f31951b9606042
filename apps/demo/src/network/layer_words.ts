import type { LayerSpec } from '@tenon-ml/core';
import type { CatalogEntry, LayerOption } from '@tenon-ml/experiment';
import type { Texts } from '../i18n/language.svelte.js';

type LayerTexts = Texts['layers'];

/** A kind of layer in words; one that the studio doesn't know by its own name. */
export function kindName(kind: string, t: LayerTexts): string {
  return t.kinds[kind]?.name ?? kind;
}

/** An option's value; its default where the spec leaves it out. */
export function optionValue(spec: LayerSpec, { name }: LayerOption, entry: CatalogEntry): unknown {
  return spec[name] ?? entry.defaults[name];
}

/** [height, width], of which a document may give one number for both. */
export function pairOf(value: unknown): readonly [number, number] {
  return Array.isArray(value) ? [Number(value[0]), Number(value[1])] : [Number(value), Number(value)];
}

/** What a layer's options are, in a line: those that it must have, and those that aren't as usual. */
export function optionLine(spec: LayerSpec, entry: CatalogEntry | undefined, t: LayerTexts): string {
  if (!entry) return '';
  return entry.options
    .map((option) => ({ option, value: optionValue(spec, option, entry) }))
    .filter(
      ({ option, value }) =>
        !option.optional || JSON.stringify(value) !== JSON.stringify(entry.defaults[option.name]),
    )
    .map(({ option, value }) => `${t.options[option.name] ?? option.name} ${valueText(option, value, t)}`)
    .join(' · ');
}

function valueText({ kind }: LayerOption, value: unknown, t: LayerTexts): string {
  if (kind === 'pair') return pairOf(value).join(' × ');
  if (kind === 'choice') return (t.choices[String(value)] ?? String(value)).split(/[:：]/)[0];
  if (kind === 'boolean') return value ? '✓' : '✗';
  return String(value);
}
