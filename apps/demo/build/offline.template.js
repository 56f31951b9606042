// The studio without a network: every file of one build, kept together. The build fills in the list and the version.
const files = __FILES__;
// By its folder: other studios of the same host have caches of their own.
const prefix = `tenon-studio-${new URL(self.registration.scope).pathname}-`;
const cacheName = `${prefix}__VERSION__`;

self.addEventListener('install', (event) => {
  // Asked of the host anew: the browser's own cache may still hold the page of the build before.
  const requests = files.map((file) => new Request(file, { cache: 'no-cache' }));
  event.waitUntil(caches.open(cacheName).then((cache) => cache.addAll(requests)));
});

self.addEventListener('activate', (event) => {
  const old = async () => {
    const names = await caches.keys();
    const stale = names.filter((name) => name.startsWith(prefix) && name !== cacheName);
    await Promise.all(stale.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(old());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin) return;
  const answer = async () => {
    const cache = await caches.open(cacheName);
    // A file is the same whoever asks: a host's `Vary: Origin` would keep it from scripts, which ask in another way.
    const kept = await cache.match(request, { ignoreSearch: request.mode === 'navigate', ignoreVary: true });
    return kept ?? fetch(request);
  };
  event.respondWith(answer());
});
