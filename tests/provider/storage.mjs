// oidc-provider's storage interface over plain maps. The library's own memory adapter forgets expired
// device codes and then answers invalid_grant; kept here, they give expired_token as RFC 8628 §3.5 says.

const records = new Map(); // "Model:id" -> payload
const idsBySessionUid = new Map();
const idsByUserCode = new Map();
const keysByGrant = new Map();

export class Storage {
  #model;

  constructor(model) {
    this.#model = model;
  }

  async upsert(id, payload) {
    records.set(this.#key(id), payload);
    if (this.#model === 'Session') idsBySessionUid.set(payload.uid, id);
    if (payload.userCode) idsByUserCode.set(payload.userCode, id);
    if (payload.grantId) this.#belongsTo(payload.grantId, id);
  }

  async find(id) {
    return records.get(this.#key(id));
  }

  async findByUid(uid) {
    return this.find(idsBySessionUid.get(uid));
  }

  async findByUserCode(userCode) {
    return this.find(idsByUserCode.get(userCode));
  }

  async consume(id) {
    records.get(this.#key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    records.delete(this.#key(id));
  }

  async revokeByGrantId(grantId) {
    for (const key of keysByGrant.get(grantId) ?? []) records.delete(key);
    keysByGrant.delete(grantId);
  }

  #belongsTo(grantId, id) {
    if (!keysByGrant.has(grantId)) keysByGrant.set(grantId, new Set());
    keysByGrant.get(grantId).add(this.#key(id));
  }

  #key(id) {
    return `${this.#model}:${id}`;
  }
}
