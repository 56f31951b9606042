/**
 * Registers the gradient of every tfjs kernel that has one.
 *
 * A plain import of `@tensorflow/tfjs-core` registers no gradient in Node (its CommonJS bundle leaves them
 * out), and the entry below can't be imported from Node ESM (its imports have no extensions). So the build
 * bundles that entry into `dist/gradients.js` while tfjs-core itself stays external: the registries of
 * kernels and gradients and the engine live on the global object, so both sides share them.
 */
import '@tensorflow/tfjs-core/dist/register_all_gradients';
