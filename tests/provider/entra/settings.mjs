// What a test switches for everybody, in settings.json, read anew for each request:
//
//   {"errors": {"devicecode": 700016, "token": 65001},   AADSTS numbers that these endpoints answer
//    "graph": {"page_size": 100,
//              "denied": true,                           403, the application lacks the permission
//              "reject_token": true,                     401
//              "throttle": {"page": 1, "times": 2, "retry_after": 1},
//              "next_origin": "https://localhost:8443",  where the next pages are said to be
//              "endless": true}}                         the last page points to the first one

import { readJson } from './json.mjs';

export class Settings {
  #file;

  constructor(file) {
    this.#file = file;
  }

  /** The AADSTS number that an endpoint has to answer, if any. */
  errorAt(endpoint) {
    return readJson(this.#file).errors?.[endpoint];
  }

  graph() {
    return { page_size: 100, ...readJson(this.#file).graph };
  }
}
