export { euclideanNorm } from './norms.js';
