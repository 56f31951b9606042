export { type CachedDownloadOptions, cachedDownload, cacheFolder } from './cache.js';
export { type Cifar10, type Cifar10Options, cifar10 } from './cifar10.js';
export { readCsv, readCsvText } from './csv_file.js';
export { type Checksum, type DownloadOptions, type DownloadProgress, downloadFile } from './download.js';
