/**
 * Where the focused element vanishes or is disabled, the focus goes to what it stood in, and not to the page as a whole: who
 * works by keys or listens goes on from there. For a node that all of this happens in.
 */
export function keepFocus(root: HTMLElement): { destroy(): void } {
  /** The focused element and what it stands in, up to the root; empty while something else has the focus. */
  let path: HTMLElement[] = [];

  function note({ target }: FocusEvent): void {
    path = [];
    for (let at = target as HTMLElement | null; at && root.contains(at); at = at.parentElement) path.push(at);
  }
  /** Browsers tell it before they remove the element: whether it was the reader who went away shows a moment later. */
  function leave({ target }: FocusEvent): void {
    setTimeout(() => {
      if (target === path[0] && target !== document.activeElement && isThere(path[0])) path = [];
    });
  }
  function mend(): void {
    const { activeElement, body } = document;
    if (path.length === 0 || isThere(path[0])) return;
    if (activeElement !== body && activeElement !== path[0]) return;
    const place = path.find(isThere);
    path = [];
    if (!place) return;
    if (place.tabIndex < 0) place.tabIndex = -1;
    place.focus({ preventScroll: true });
  }

  const observer = new MutationObserver(() => {
    // After the handlers that give the focus to something themselves.
    if (path.length > 0 && !isThere(path[0])) setTimeout(mend);
  });
  observer.observe(root, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeFilter: ['disabled', 'hidden'],
  });
  document.addEventListener('focusin', note);
  document.addEventListener('focusout', leave);
  return {
    destroy() {
      observer.disconnect();
      document.removeEventListener('focusin', note);
      document.removeEventListener('focusout', leave);
    },
  };
}

/** Whether an element can have the focus: it is in the page, shown, and not disabled. */
function isThere(element: HTMLElement): boolean {
  return element.isConnected && element.checkVisibility() && !element.matches(':disabled');
}
