import type { Page } from 'playwright-core';

/** Names, units and abbreviations that Chinese has as they are. */
const NAMES = new Set(
  `Tenon Node npx GPT CNN MLP ResNet CIFAR ReLU GELU LSTM Transformer Dropout Sigmoid Tanh tanh Softmax Epsilon Same Valid
  Adam AdamW SGD Grad CAM Top wasm WebGPU CSV JSON PNG JPEG WebP GIF BMP UTF ZIP zip kB MB GB TB
  Delete Optical Recognition of Handwritten Digits Alpaydin and Kaynak UCI CC BY`.split(/\s+/),
);

/** Files, commands, and the names that layers have in a document: maxPool2d_1. */
const CODE = [/\btenon [a-z]+ FILE/g, /[\w-]+(\.\w+)+/g, /\b[a-z][A-Za-z]+(2d)?_\d+\b/g];

/**
 * The words in Latin letters on a page in Chinese that aren't names: of texts, and of what is read out or shown in their
 * place. Left out is what is marked as English or code, and what the reader has named.
 */
export async function foreignWords(page: Page, own: readonly RegExp[]): Promise<string[]> {
  const texts = await page.evaluate(() => {
    const shown = (element: Element): boolean =>
      element.checkVisibility() &&
      !element.closest('code, pre, textarea, [lang=en], script, style, noscript');
    const found: string[] = [document.title];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode())
      if (node.parentElement && shown(node.parentElement)) found.push(node.textContent ?? '');
    for (const element of document.querySelectorAll('body *'))
      if (shown(element))
        for (const name of [
          'aria-label',
          'title',
          'alt',
          'placeholder',
          'aria-valuetext',
          'aria-roledescription',
        ])
          found.push(element.getAttribute(name) ?? '');
    return found.map((text) => text.replace(/\s+/g, ' ').trim());
  });
  const left = texts.flatMap((text) => {
    const rest = [...own, ...CODE].reduce((shorter, name) => shorter.replaceAll(name, ''), text);
    const words = (rest.match(/[A-Za-zÀ-ɏ]{2,}/g) ?? []).filter((word) => !NAMES.has(word));
    return words.length > 0 ? [`${words.join(' ')} (in “${text.slice(0, 80)}”)`] : [];
  });
  return [...new Set(left)];
}
