import { mount } from 'svelte';
import App from './App.svelte';
import './theme.css';

const target = document.getElementById('app');
if (!target) throw new Error('The page has no #app.');
mount(App, { target });

// Offline after the first load; a page that was not built (`npm run dev`) has no such file.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  addEventListener('load', () => {
    navigator.serviceWorker.register('./offline.js').catch(() => {
      // Private windows refuse it: the page works all the same while there is a network.
    });
  });
}
