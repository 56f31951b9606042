export { readCsv, readCsvText } from './csv_file.js';
