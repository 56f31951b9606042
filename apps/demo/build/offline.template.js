// The studio without a network: every file of one build, kept together. The build fills in the list and the version.
const files = __FILES__;
const cacheName = 'tenon-studio-__VERSION__';

self.addEventListener('install', (event) => {
  // Not from the browser's cache, which may hold another build's page.
  const requests = files.map((file) => new Request(file, { cache: 'reload' }));
  event.waitUntil(caches.open(cacheName).then((cache) => cache.addAll(requests)));
});

self.addEventListener('activate', (event) => {
  const old = async () => {
    const names = await caches.keys();
    const stale = names.filter((name) => name.startsWith('tenon-studio-') && name !== cacheName);
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
    const kept = await cache.match(request, { ignoreSearch: request.mode === 'navigate' });
    return kept ?? fetch(request);
  };
  event.respondWith(answer());
});
