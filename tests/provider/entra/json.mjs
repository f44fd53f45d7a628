// Files that a test writes and answers that a client reads.

import { readFileSync } from 'node:fs';

/** The object in a file, or an empty one where there is no file. */
export function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
}

export function sendJson(response, status, body, headers = {}) {
  const type = 'application/json; charset=utf-8';
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store, no-cache', ...headers });
  response.end(JSON.stringify(body));
}

export async function readForm(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}
