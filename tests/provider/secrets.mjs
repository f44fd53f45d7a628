// Every code and token that was handed out: what must not turn up in any log.

const SECRET_MEMBERS = ['device_code', 'access_token', 'id_token', 'refresh_token'];

export class Secrets {
  given = [];

  /** Call it last of all that wraps an answer: it wants to see what the library said. */
  watch(response) {
    const end = response.end.bind(response);
    response.end = (body, ...more) => {
      this.#note(body);
      return end(body, ...more);
    };
  }

  #note(body) {
    const object = parse(body);
    const found = SECRET_MEMBERS.filter((name) => typeof object?.[name] === 'string');
    found.forEach((member) => this.given.push({ member, value: object[member] }));
  }
}

function parse(body) {
  try {
    return JSON.parse(String(body));
  } catch {
    return undefined; // a page
  }
}
