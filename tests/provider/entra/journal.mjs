// Traffic with what a request carried, by name only: where a secret went is what tests want to know.
// `GET /forms` at the control port answers
// [{"host", "method", "path", "authorization": scheme or null, "fields": [names], "scope"}].

import { createServer } from 'node:http';

import { controlServer } from '../control.mjs';
import { Traffic, pathOf } from '../traffic.mjs';
import { sendJson } from './json.mjs';

export class Journal extends Traffic {
  reset() {
    super.reset();
    this.forms = [];
  }

  recordForm(request, form) {
    const { method, headers: { host, authorization } } = request;
    this.forms.push({
      host,
      method,
      path: pathOf(request),
      authorization: authorization?.split(' ')[0] ?? null,
      fields: [...form.keys()],
      scope: form.get('scope'),
    });
  }
}

/** The control port of ../control.mjs, and the one route more. */
export function journalControl(journal, front) {
  const common = controlServer(journal, front);
  return createServer((request, response) => {
    if (request.method === 'GET' && request.url === '/forms') sendJson(response, 200, journal.forms);
    else common.emit('request', request, response);
  });
}
